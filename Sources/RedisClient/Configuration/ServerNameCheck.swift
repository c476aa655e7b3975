import NIOCore
import NIOSSL

/// Holds a certificate to the name that was asked for.
///
/// NIOSSL's own verification is also content with a certificate for the peer's IP address, even where a name was asked
/// for. Whoever can forge DNS could then answer with a valid certificate for an address of his own (authorities issue
/// those). So where a name is known, the name must be in the certificate (RFC 6125 §6.4, subjectAltName only).
enum ServerNameCheck {
    static func handler(_ context: NIOSSLContext, name: String?) throws -> NIOSSLClientHandler {
        guard let name else { return try NIOSSLClientHandler(context: context, serverHostname: nil) }
        // The one hook that runs after NIOSSL's verification and before any byte of ours is sent.
        return try NIOSSLClientHandler._makeSSLClientHandler(context: context, serverHostname: name) {
            certificate, channel in
            let names = certificate._subjectAlternativeNames().compactMap { entry -> String? in
                guard entry.nameType == .dnsName else { return nil }
                return entry.contents.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
            }
            guard names.contains(where: { matches(pattern: $0, host: name) }) else {
                return channel.eventLoop.makeFailedFuture(
                    RedisError(
                        .unavailable, "TLS failed: the server's certificate is not for \(name). Check the server name.")
                )
            }
            return channel.eventLoop.makeSucceededVoidFuture()
        }
    }

    /// Whether a name of a certificate covers a host. `*` stands for exactly one whole leftmost label.
    static func matches(pattern: String, host: String) -> Bool {
        let pattern = labels(pattern)
        let host = labels(host)
        guard pattern.count == host.count, !host.isEmpty, !host.contains("") else { return false }
        if pattern.first == "*" {
            return host.count > 2 && pattern.dropFirst().elementsEqual(host.dropFirst())
        }
        return pattern == host
    }

    private static func labels(_ name: String) -> [String] {
        var bytes = name.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        return bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }
}
