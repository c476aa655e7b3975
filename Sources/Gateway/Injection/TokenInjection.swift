import Providers
public import RefreshCore

/// Where the token stands in a call.
public enum TokenInjection: Sendable, Hashable {
    /// What stands for the token in a format.
    public static let placeholder = "{token}"

    /// `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
    case bearer
    /// A header, whose value is the format with the token in it.
    case header(name: String, format: String)
    /// A parameter of the query. Queries end up in logs of servers: for upstreams that know nothing else.
    case query(name: String)
    /// `Authorization: Basic …` (RFC 7617); the token stands in user name or password.
    case basic(username: String, password: String)
    case cookie(name: String)

    /// The credential of one try.
    public enum Credential: Sendable, Hashable {
        case header(name: String, value: Secret)
        /// Percent-encoded.
        case query(name: String, value: Secret)
        /// `NAME=VALUE`.
        case cookie(name: String, pair: Secret)
    }

    /// A token that cannot be sent where it is to stand. Holds no part of it.
    public struct Unsendable: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
    }

    /// The header in which a caller would bring a credential of its own; nil for those of a query.
    public var headerName: String? {
        switch self {
        case .bearer, .basic: "Authorization"
        case .header(let name, _): name
        case .query: nil
        case .cookie: "Cookie"
        }
    }

    /// - Throws: ``Unsendable`` for a token that is empty, or with which something else would be sent than a token.
    public func credential(_ token: Secret) throws(Unsendable) -> Credential {
        let text = token.reveal()
        guard !text.isEmpty else { throw Unsendable(description: "is empty") }
        // A line break would end the header and begin another one (RFC 9110 §5.5).
        guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw Unsendable(description: "holds a line break, another control or a non-ASCII character")
        }
        guard text.utf8.first != 0x20, text.utf8.last != 0x20 else {
            throw Unsendable(description: "begins or ends with a blank")
        }
        switch self {
        case .bearer:
            return .header(name: "Authorization", value: Secret("Bearer " + text))
        case .header(let name, let format):
            return .header(name: name, value: Secret(format.replacing(Self.placeholder, with: text)))
        case .query(let name):
            return .query(name: HTTPText.percentEncoded(name), value: Secret(HTTPText.percentEncoded(text)))
        case .basic(let username, let password):
            let user = username.replacing(Self.placeholder, with: text)
            guard !user.contains(":") else {
                throw Unsendable(description: "holds a colon, which no user name can (RFC 7617 §2)")
            }
            let pair = user + ":" + password.replacing(Self.placeholder, with: text)
            return .header(name: "Authorization", value: Secret("Basic " + HTTPText.base64(pair)))
        case .cookie(let name):
            guard text.utf8.allSatisfy(Self.isCookieOctet) else {
                throw Unsendable(description: "holds a character that cannot stand in a cookie (RFC 6265 §4.1.1)")
            }
            return .cookie(name: name, pair: Secret("\(name)=\(text)"))
        }
    }

    /// RFC 6265 §4.1.1.
    private static func isCookieOctet(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\\"), 0...0x20, 0x7F...: false
        default: true
        }
    }
}

extension TokenInjection: CustomStringConvertible {
    /// Never a format: it may hold more than the place of the token.
    public var description: String {
        switch self {
        case .bearer: "bearer"
        case .header(let name, _): "header \(name)"
        case .query(let name): "query \(name)"
        case .basic: "basic"
        case .cookie(let name): "cookie \(name)"
        }
    }
}
