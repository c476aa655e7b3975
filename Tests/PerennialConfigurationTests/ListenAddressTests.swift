import PerennialConfiguration
import Testing

struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:8700", ListenAddress.tcp(host: "127.0.0.1", port: 8700), true),
        ("localhost:0", .tcp(host: "localhost", port: 0), true),
        ("[::1]:8700", .tcp(host: "::1", port: 8700), true),
        ("127.9.9.9:1", .tcp(host: "127.9.9.9", port: 1), true),
        ("unix:/run/p.sock", .unix(path: "/run/p.sock"), true),
        ("0.0.0.0:8700", .tcp(host: "0.0.0.0", port: 8700), false),
        ("[::]:65535", .tcp(host: "::", port: 65535), false),
        ("10.0.0.1:80", .tcp(host: "10.0.0.1", port: 80), false),
        ("127.0.0.1.example.com:80", .tcp(host: "127.0.0.1.example.com", port: 80), false),
        ("127.1:80", .tcp(host: "127.1", port: 80), false),
        ("localhost.example.com:80", .tcp(host: "localhost.example.com", port: 80), false),
    ])
    func `addresses are read and written`(text: String, expected: ListenAddress, isLocal: Bool) throws {
        let address = try ListenAddress(text)
        #expect(address == expected)
        #expect(address.isLocal == isLocal)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "8700", "127.0.0.1", "127.0.0.1:", ":8700", "*:8700", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8x",
        "::1:8700", "[::1]", "[]:80", "[a]:80", "http://localhost:80", "a b:80", "unix:", "u@h:80", "a\nb:80",
        "unix:/" + String(repeating: "x", count: 200),
    ])
    func `what is no address says what one is`(text: String) {
        do {
            _ = try ListenAddress(text)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains("HOST:PORT") || error.description.contains("control"))
        }
    }
}
