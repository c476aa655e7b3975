import FoundationEssentials
import HTTPTypes

/// The access token that an API call carries, and where.
struct DoublePresented: Sendable {
    let token: String
    /// `bearer`, `basic user`, `basic password`, `header NAME`, `query NAME` or `cookie NAME`.
    let place: String
}

extension DoubleRequest {
    /// Looks where tokens are usually put, and for one that was issued anywhere else where a caller can put it.
    func presented(isIssued: (String) -> Bool) -> DoublePresented? {
        if let bearer { return DoublePresented(token: bearer, place: "bearer") }
        if let basic {
            let user = DoublePresented(token: basic.user, place: "basic user")
            return isIssued(basic.user) ? user : DoublePresented(token: basic.password, place: "basic password")
        }
        for field in headers where isIssued(field.value) {
            return DoublePresented(token: field.value, place: "header \(field.name.rawName)")
        }
        for (name, value) in query where isIssued(value) {
            return DoublePresented(token: value, place: "query \(name)")
        }
        for field in headers where field.name == .cookie {
            for pair in field.value.split(separator: ";") {
                let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2, isIssued(parts[1]) else { continue }
                return DoublePresented(token: parts[1], place: "cookie \(parts[0])")
            }
        }
        return nil
    }

    /// RFC 7617 §2.
    private var basic: (user: String, password: String)? {
        guard let header = headers[.authorization], header.prefix(6).lowercased() == "basic ",
            let data = Data(base64Encoded: String(header.dropFirst(6))),
            let colon = data.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return (
            String(decoding: data[..<colon], as: UTF8.self),
            String(decoding: data[data.index(after: colon)...], as: UTF8.self)
        )
    }
}
