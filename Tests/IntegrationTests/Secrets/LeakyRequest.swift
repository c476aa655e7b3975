#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A request as the leaky provider reads it: whatever was sent in it, wherever it stood.
struct LeakyRequest: Sendable {
    let method: String
    let path: String
    /// Of the query and of the body, which is a form or a JSON object.
    private(set) var fields: [String: String] = [:]
    private(set) var headers: [(name: String, value: String)] = []
    let body: String

    init(_ text: String) {
        let end = text.firstRange(of: "\r\n\r\n")
        let lines = text[..<(end?.lowerBound ?? text.endIndex)].split(separator: "\r\n")
        body = end.map { String(text[$0.upperBound...]) } ?? ""
        let words = (lines.first ?? "").split(separator: " ")
        method = words.first.map(String.init) ?? ""
        let target = words.count > 1 ? words[1] : ""
        path = String(target.prefix { $0 != "?" })
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers.append((String(line[..<colon]), String(line[colon...].dropFirst().drop { $0 == " " })))
        }
        read(form: target.drop { $0 != "?" }.dropFirst())
        if let object = try? JSONDecoder().decode([String: String].self, from: Data(body.utf8)) {
            fields.merge(object) { $1 }
        } else {
            read(form: body[...])
        }
    }

    private mutating func read(form: Substring) {
        for pair in form.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            fields[String(parts[0])] = Self.decoded(parts[1])
        }
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Everything that may be a secret, as it is: values, header values, what HTTP basic says, parts of the path.
    var values: [String] {
        var values = fields.keys.sorted().compactMap { fields[$0] } + path.split(separator: "/").map(String.init)
        for header in headers where !["host", "content-length", "accept"].contains(header.name.lowercased()) {
            values.append(header.value)
            if let space = header.value.firstIndex(of: " "),
                let data = Data(base64Encoded: String(header.value[space...].dropFirst()))
            {
                values.append(String(decoding: data, as: UTF8.self))
            }
        }
        return values.filter { $0.utf8.count >= 16 }
    }
}
