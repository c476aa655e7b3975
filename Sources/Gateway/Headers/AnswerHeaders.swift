import RefreshCore

/// The headers of an answer on their way to the caller.
enum AnswerHeaders {
    /// Without those of the connection, those that the route denies, those that only Perennial sends, and without the
    /// length: where the body ends is told by ``AnswerFraming``, whatever `Connection` names or the route denies.
    static func passed(_ headers: [HeaderField], policy: HeaderPolicy) -> [HeaderField] {
        let named = HopByHop.named(in: headers)
        var passed: [HeaderField] = []
        passed.reserveCapacity(headers.count + 3)
        for field in headers {
            let name = field.name.lowercased()
            if name == "content-length" { continue }
            // Trailers are announced where they are passed on.
            if name != "trailer", HopByHop.fields.contains(name) || named.contains(name) { continue }
            if name.hasPrefix("perennial-") || name.hasPrefix("x-perennial-") { continue }
            guard policy.passesInAnswer(name) else { continue }
            passed.append(field)
        }
        return passed
    }

    /// Fields that may not come behind a body (RFC 9110 §6.5.1).
    private static let forbiddenInTrailers: Set<String> = [
        "authorization", "cache-control", "content-encoding", "content-length", "content-range", "content-type", "host",
        "set-cookie", "transfer-encoding", "trailer",
    ]

    static func trailers(_ trailers: [HeaderField], policy: HeaderPolicy) -> [HeaderField] {
        trailers.isEmpty
            ? [] : passed(trailers, policy: policy).filter { !forbiddenInTrailers.contains($0.name.lowercased()) }
    }

    static func value(_ name: String, in headers: [HeaderField]) -> String? {
        headers.first { $0.name.utf8.count == name.utf8.count && $0.name.lowercased() == name }?.value
    }
}
