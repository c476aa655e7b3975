import RefreshCore
import Testing

@testable import PerennialAPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite struct ConnectionTests {
    static func get(_ target: String, _ headers: String...) -> String {
        "GET \(target) HTTP/1.1\r\nHost: localhost\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n"
    }

    @Test func pipelinedRequestsKeepTheirOrderWhateverWayTheyTake() async throws {
        let house = try House()
        try house.addWarm("warm")
        try house.add("slow", token: nil)
        house.endpoint.hold()
        try await house.serve { client async throws in
            let targets = (0..<40).map { index in
                switch index % 4 {
                case 0, 1: "/v1/accounts/warm/token"
                case 2: index == 2 ? "/v1/accounts/slow/token" : "/v1/accounts/warm"
                default: "/v1/accounts/nobody"
                }
            }
            let text = targets.map { Self.get($0) }.joined()
            async let outcome = client.exchange(text, count: targets.count)
            try await eventually { house.endpoint.isWaitedFor }
            house.endpoint.release()
            let kinds = try await outcome.responses.map { response in
                response.member("account") ?? response.member("id") ?? "?"
            }
            #expect(
                kinds == targets.map { $0.hasSuffix("nobody") ? "nobody" : $0.contains("slow") ? "slow" : "warm" })
        }
    }

    @Test func aRequestInManyPiecesIsAnsweredOnce() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let text = String(repeating: Self.get("/v1/accounts/a/token"), count: 300)
            let outcome = try await client.exchange(text, count: 300)
            #expect(outcome.responses.count == 300)
            #expect(Set(outcome.responses.map(\.body)).count == 1)
        }
    }

    @Test(arguments: ["/v1/accounts/a/token", "/v1/accounts/a/token?min_ttl=0", "/v1/accounts/a"])
    func connectionCloseEndsTheConnectionAfterItsResponse(target: String) async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            for header in ["Connection: close", "Connection: Close", "Connection: foo, close"] {
                // What comes after the last request is not answered.
                let outcome = try await client.exchange(
                    Self.get(target) + Self.get(target, header) + Self.get(target), untilClosed: true)
                #expect(outcome.responses.map(\.status) == [200, 200])
                #expect(outcome.responses.map { $0.headers["connection"] } == [nil, "close"])
                #expect(outcome.isClosed)
            }
            let old = try await client.exchange(
                "GET \(target) HTTP/1.0\r\nHost: localhost\r\n\r\n", untilClosed: true)
            #expect(old.responses.map(\.status) == [200])
        }
    }

    @Test func aGetWithABodyTakesTheOrdinaryWay() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let text =
                "GET /v1/accounts/a/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
                + Self.get("/v1/accounts/a/token")
            let outcome = try await client.exchange(text, count: 2)
            #expect(outcome.responses.map(\.status) == [200, 200])
        }
    }

    @Test func bodiesOfRefusedRequestsDoNotDisturbTheNext() async throws {
        let house = try House()
        try house.addWarm("a")
        try await house.serve { client async throws in
            let text =
                "PUT /v1/nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabcde"
                + Self.get("/v1/accounts/a/token")
            let outcome = try await client.exchange(text, count: 2)
            #expect(outcome.responses.map(\.status) == [404, 200])
        }
    }

    @Test func idleConnectionsAreClosedAndBusyOnesAreNot() async throws {
        let house = try House()
        try house.add("slow", token: nil)
        house.endpoint.hold()
        try await house.serve(idleTimeout: .milliseconds(500)) { client async throws in
            for text in [
                "", "GET /v1/acc", "PUT /v1/accounts/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
            ] {
                let outcome = try await client.exchange(text, untilClosed: true)
                #expect(outcome.isClosed)
            }
            // A busy machine may have been idle for so long before it asks.
            @Sendable func ask() async throws -> RawResponse {
                while true {
                    do {
                        return try await client.send("GET", "/v1/accounts/slow/token")
                    } catch {
                        guard !house.endpoint.isWaitedFor else { throw error }
                    }
                }
            }
            async let waiting = ask()
            try await eventually { house.endpoint.isWaitedFor }
            // Longer than several idle checks.
            try await Task.sleep(for: .seconds(2))
            house.endpoint.release()
            #expect(try await waiting.status == 200)
        }
    }

    @Test func severalListenersAndAUnixSocket() async throws {
        let house = try House()
        try house.addWarm("a")
        let directory = try AuthenticationTests.KeyDirectory()
        let path = directory.path + "/s.sock"
        try await house.serve(listen: ["127.0.0.1:0", "unix:\(path)", "127.0.0.1:0"]) { client async throws in
            for listener in 0..<3 {
                let response = try await client.send("GET", "/v1/accounts/a/token", listener: listener)
                #expect(response.status == 200)
            }
            #expect(client.addresses[0] != client.addresses[2])
            // The mode of the socket says who may ask: any Host will do.
            let other = try await client.send("GET", "/v1/accounts/a/token", headers: ["Host: x"], listener: 1)
            #expect(other.status == 200)
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            // Somebody answers there, so a second server leaves it alone.
            let error = await #expect(throws: ListenError.self) {
                try await House().serve(listen: ["unix:\(path)"]) { _ in }
            }
            #expect(error?.description.contains("another process") == true)
        }
        #expect(DurableFile.stamp(path) == nil)
    }

    @Test func aStaleSocketIsReplacedAndAFileIsNot() async throws {
        let house = try House()
        let directory = try AuthenticationTests.KeyDirectory()
        let path = directory.path + "/s.sock"
        // A socket that is bound and closed again stays behind as a file, like that of a killed process.
        try Self.leaveSocket(path)
        try await house.serve(listen: ["unix:\(path)"]) { client async throws in
            #expect(try await client.send("GET", "/livez").status == 200)
        }
        try DurableFile.replace(path, with: [])
        let error = await #expect(throws: ListenError.self) {
            try await House().serve(listen: ["unix:\(path)"]) { _ in }
        }
        #expect(error?.description.contains("not a socket") == true)
    }

    private static func leaveSocket(_ path: String) throws {
        #if canImport(Glibc)
            let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #else
            let file = socket(AF_UNIX, SOCK_STREAM, 0)
        #endif
        defer { close(file) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw DurableFile.Failure("bind") }
    }

    @Test func aTakenPortIsNamedAndNothingElseStaysOpen() async throws {
        let house = try House()
        try await house.serve { client async throws in
            let taken = "\(client.addresses[0])"
            let error = await #expect(throws: ListenError.self) {
                try await House().serve(listen: ["127.0.0.1:0", taken]) { _ in }
            }
            #expect(error?.address.description == taken)
        }
    }

    @Test func shutdownFinishesWhatIsUnderWay() async throws {
        let house = try House()
        try house.add("slow", token: nil)
        house.endpoint.hold()
        let outcome = House.Box<Int?>(nil)
        try await house.serve { client async throws in
            let request = Task { try await client.send("GET", "/v1/accounts/slow/token").status }
            try await eventually { house.endpoint.isWaitedFor }
            Task {
                // By now the server has been asked to shut down.
                try await Task.sleep(for: .milliseconds(100))
                house.endpoint.release()
                outcome.current = try await request.value
            }
        }
        try await eventually { outcome.current != nil }
        #expect(outcome.current == 200)
    }

    @Test(arguments: [
        ("127.0.0.1:8700", true), ("localhost:0", true), ("[::1]:8700", true), ("127.9.9.9:1", true),
        ("unix:/run/p.sock", true), ("0.0.0.0:8700", false), ("[::]:8700", false), ("127.evil.example:1", false),
    ]) func listenAddressesAreRead(text: String, isLoopback: Bool) throws {
        let address = try ListenAddress(text)
        #expect(address.description == text)
        #expect(address.isLoopback == isLoopback)
    }

    @Test(arguments: ["", "8700", ":8700", "::1:8700", "[::1]", "host:70000", "host:-1", "unix:", "[x]:1", "a b:1"])
    func badListenAddressesAreRefused(text: String) {
        #expect(throws: InvalidListenAddress.self) { try ListenAddress(text) }
    }
}
