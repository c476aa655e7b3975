#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The user's browser.
enum Browser {
    /// Opens an address if there is a way to; whoever calls has printed it too.
    static func open(_ url: String) {
        let environment = ProcessInfo.processInfo.environment
        #if os(Linux)
            // Without a display xdg-open would start a text browser in the middle of our own words.
            guard environment["DISPLAY"] != nil || environment["WAYLAND_DISPLAY"] != nil else { return }
            let names = ["xdg-open"]
        #else
            let names = ["open"]
        #endif
        guard let program = Executables.find(names, path: environment["PATH"]) else { return }
        if let child = try? ChildProcess(ChildProcess.Launch(program, [url], environment: environment)) {
            // Reaped when it ends; it is not waited for, and not ended with us.
            Task { _ = await child.wait(atMost: .seconds(3600)) }
        }
    }
}
