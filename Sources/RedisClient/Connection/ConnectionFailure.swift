import NIOCore
import NIOPosix
import NIOSSL

/// Says in words what NIO and NIOSSL report, and what to check.
enum ConnectionFailure {
    static func describe(_ error: any Error) -> RedisError {
        switch error {
        case let error as RedisError:
            return error
        case let error as NIOConnectionError:
            let cause =
                error.connectionErrors.first.map { text(of: $0.error) }
                ?? (error.dnsAError ?? error.dnsAAAAError).map { text(of: $0) } ?? "no address answered"
            return RedisError(
                .unavailable, "Cannot connect to \(error.host):\(error.port): \(cause).", underlying: error)
        case ChannelError.connectTimeout:
            return RedisError(.unavailable, "Connecting took longer than the connect timeout.", underlying: error)
        case NIOSSLError.uncleanShutdown:
            return RedisError(.unavailable, "The server closed the connection.", underlying: error)
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            return RedisError(
                .unavailable,
                """
                TLS failed: \(text(of: error)). Check the CA file, the server name, the client certificate and that the \
                port speaks TLS.
                """, underlying: error)
        default:
            return RedisError(.unavailable, "The connection failed: \(text(of: error)).", underlying: error)
        }
    }

    private static func text(of error: any Error) -> String {
        if let error = error as? IOError { return error.description }
        return String(describing: error)
    }
}
