import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import NIOCore

/// An HTTP request to a double, and strict ways to read it.
struct DoubleRequest: Sendable {
    var method: HTTPRequest.Method
    var path: String
    var query: [String: String]
    /// `Host`, for the URL that it came to.
    var authority: String
    var headers: HTTPFields
    var body: ByteBuffer
    /// Of the whole body, also where `body` was not kept.
    var digest = BodyDigest()

    init(_ whole: MockHTTP.WholeRequest) {
        let request = whole.request
        method = request.method
        path = request.uri.path
        query = Dictionary(
            request.uri.queryParameters.map { (String($0.key), String($0.value)) }, uniquingKeysWith: { $1 })
        authority = request.head.authority ?? ""
        headers = request.headers
        body = whole.body
        digest = whole.digest
    }

    var url: String { "http://\(authority)\(path)" }

    /// The parameters of the body. A parameter that comes twice is refused (RFC 6749 §3.2), `resource` apart (RFC 8707).
    ///
    /// - Throws: ``DoubleRefusal`` for a body of another type, or one that is not what its type says.
    func parameters(_ bodies: Set<DoubleStyle.Body>) throws(DoubleRefusal) -> [String: String] {
        let type = headers[.contentType] ?? "none"
        let media = type.prefix { $0 != ";" && $0 != " " }.lowercased()
        switch media {
        case "application/x-www-form-urlencoded" where bodies.contains(.form): return try form()
        case "application/json" where bodies.contains(.json): return try object()
        default: throw .wrongContentType(type)
        }
    }

    private func form() throws(DoubleRefusal) -> [String: String] {
        var parameters: [String: String] = [:]
        for pair in body.readableBytesView.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard equals < pair.endIndex, let name = FormText.decode(pair[..<equals]),
                let value = FormText.decode(pair[pair.index(after: equals)...])
            else { throw .invalidRequest("its form is not valid URL encoding") }
            guard parameters.updateValue(value, forKey: name) == nil || name == "resource" else {
                throw .invalidRequest("it gives \(name) more than once")
            }
        }
        return parameters
    }

    private func object() throws(DoubleRefusal) -> [String: String] {
        let data = Data(body.readableBytesView)
        guard let members = try? JSONDecoder().decode([String: String].self, from: data) else {
            throw .invalidRequest("its body is not a JSON object of strings")
        }
        return members
    }

    /// The token of `Authorization: Bearer` (RFC 6750 §2.1).
    var bearer: String? {
        guard let header = headers[.authorization], header.prefix(7).lowercased() == "bearer " else { return nil }
        return String(header.dropFirst(7))
    }
}

extension [String: String] {
    /// A parameter that has to be there, and not be empty.
    func required(_ name: String) throws(DoubleRefusal) -> String {
        guard let value = self[name], !value.isEmpty else { throw .invalidRequest("it lacks \(name)") }
        return value
    }

    func requireGrant(_ type: String) throws(DoubleRefusal) {
        let grant = try required("grant_type")
        guard grant == type else { throw .unsupportedGrant(grant) }
    }
}
