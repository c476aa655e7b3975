import HTTPTypes
import HummingbirdCore
import NIOCore

/// One request on its way to a route.
struct APIRequest: Sendable {
    /// Largest body that is read, in bytes.
    static let maximumBody = 256 * 1024

    let request: Request
    let route: Route
    let path: Substring
    let query: Substring?

    var method: HTTPRequest.Method { request.method }
    var headers: HTTPFields { request.headers }

    /// The whole body.
    ///
    /// - Throws: ``Problem``: 413 beyond the cap, 415 unless it says to be JSON or says nothing.
    func body() async throws(Problem) -> [UInt8] {
        if let text = headers[.contentLength], let length = Int(text), length > Self.maximumBody {
            throw Self.tooLarge()
        }
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: Self.maximumBody)
        } catch is NIOTooManyBytesError {
            throw Self.tooLarge()
        } catch {
            throw Problem(.malformedBody, "the body ended too early")
        }
        if buffer.readableBytes > 0, let type = headers[.contentType], !Self.isJSON(type) {
            throw Problem(.unsupportedMediaType, "send the body as application/json")
        }
        return Array(buffer.readableBytesView)
    }

    private static func tooLarge() -> Problem {
        var problem = Problem(.bodyTooLarge, "the body has more than \(maximumBody) bytes")
        // The rest of the body is not worth reading.
        problem.headers = [.init(name: "Connection", value: "close")]
        return problem
    }

    private static func isJSON(_ type: String) -> Bool {
        let essence = type.prefix { $0 != ";" }.utf8.filter { $0 != 0x20 && $0 != 0x09 }
        return essence.isEqualIgnoringCase("application/json")
    }
}

/// What a route answers.
struct APIAnswer: Sendable {
    var status: HTTPResponse.Status = .ok
    var body: [UInt8]?
    var contentType = "application/json"
    var etag: EntityTag?
    var location: String?
    var isSecret = false
    /// The token in it is not the account's own.
    var isFallback = false
    /// Further ones.
    var headers = HTTPFields()
    /// What the answer holds is given back where it does not reach the caller.
    var undelivered: (@Sendable () async -> Void)?
}
