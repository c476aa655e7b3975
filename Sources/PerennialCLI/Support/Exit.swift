import ArgumentParser
import ConfigurationFile
import Perennial
import RefreshCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum CommandVersion {
    static let text = perennialVersion
}

/// A command that did not work, with its exit code.
struct CommandFailure: Error, CustomStringConvertible {
    enum Code: Int32 {
        /// Wrong usage, or a problem of this machine.
        case local = 1
        /// Redis or a provider.
        case remote = 2
        case reauthRequired = 3
        case degraded = 4
    }

    let code: Code
    let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    init(_ error: StoreError) {
        self.init(error.code == .sealing ? .local : .remote, error.message)
    }

    init(_ failure: PoolFailure) {
        let code: Code =
            switch failure.kind {
            case .poolNotFound, .notInPool, .generationConflict, .cancelled: .local
            case .exhausted: .degraded
            case .storeUnavailable: .remote
            }
        self.init(code, failure.message)
    }

    init(_ failure: RefreshFailure) {
        let code: Code =
            switch failure.code {
            case .reauthRequired, .outcomeUnknown: .reauthRequired
            case .accountNotFound, .disabled, .unknownProvider, .journalUnavailable: .local
            case .coolingDown, .providerThrottled: .degraded
            default: .remote
            }
        self.init(code, failure.message)
    }
}

enum Exit {
    /// Prints what went wrong, data on stdout left alone, and ends the process.
    static func now(for error: any Error) -> Never {
        if let failure = error as? CommandFailure { say(failure.description, failure.code.rawValue) }
        if let failure = error as? RefreshFailure { now(for: CommandFailure(failure)) }
        if let failure = error as? PoolFailure { now(for: CommandFailure(failure)) }
        if let store = error as? StoreError { now(for: CommandFailure(store)) }
        if let unavailable = error as? StoreUnavailable {
            say("Redis is not available: \(unavailable.description)", CommandFailure.Code.remote.rawValue)
        }
        if let code = error as? ExitCode { exit(code.rawValue) }
        let parserCode = PerennialCommand.exitCode(for: error)
        if parserCode.isSuccess {
            // Help and version were asked for: that is data.
            print(PerennialCommand.fullMessage(for: error))
            exit(0)
        }
        if parserCode == .validationFailure || parserCode.rawValue == 64 {
            Terminal.standardError(PerennialCommand.fullMessage(for: error))
            exit(CommandFailure.Code.local.rawValue)
        }
        say("\(error)", CommandFailure.Code.local.rawValue)
    }

    private static func say(_ message: String, _ code: Int32) -> Never {
        for line in message.split(separator: "\n") { Terminal.standardError("error: \(line)") }
        exit(code)
    }
}
