import CurlClient
import Glibc
import NIOConcurrencyHelpers
import Testing

@testable import Gateway

/// Why a call over libcurl has no answer.
@Suite struct CurlUpstreamTests {
    /// A port of 127.0.0.1 on which connections are taken and nothing is ever said.
    private static func silentPort() throws -> (descriptor: CInt, port: UInt16) {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, size) == 0 && listen(descriptor, 8) == 0
                    && getsockname(descriptor, address, &size) == 0
            }
        }
        try #require(result)
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    @Test(arguments: [UpstreamFailure.Kind.slowBody, .body, .local])
    func whatTheSourceOfTheBodyThrowsIsTheReason(kind: UpstreamFailure.Kind) async throws {
        let (descriptor, port) = try Self.silentPort()
        defer { close(descriptor) }
        let curl = CurlClient()
        let pieces = NIOLockedValueBox(0)
        let call = UpstreamCall(
            method: "POST", head: OutgoingHead(url: "http://127.0.0.1:\(port)/", headers: []),
            body: .stream(length: nil) {
                let number = pieces.withLockedValue { number in
                    number += 1
                    return number
                }
                if number == 1 { return [1, 2, 3] }
                throw UpstreamFailure(kind, isUnsent: false, "the reason")
            }, connect: .seconds(30), firstByte: .seconds(30), untilHead: .seconds(30), idle: .seconds(30))
        let failure = await #expect(throws: UpstreamFailure.self) {
            _ = try await CurlUpstream(curl: curl).open(call) { _ in }
        }
        await curl.shutdown()
        #expect(failure?.kind == kind)
        #expect(failure?.message == "the reason")
    }
}
