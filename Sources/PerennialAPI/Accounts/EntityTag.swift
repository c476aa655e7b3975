import HTTPTypes
import RefreshCore

/// The ETag of an account: its generation in quotes (RFC 9110 §8.8.3).
struct EntityTag: Sendable, Hashable, CustomStringConvertible {
    let generation: Generation

    init(_ generation: Generation) {
        self.generation = generation
    }

    var description: String { "\"\(generation)\"" }
}

/// An `If-Match` or `If-None-Match` header.
enum TagCondition: Sendable, Hashable {
    case any
    /// Weak tags are kept apart: they never match where a strong comparison is asked for.
    case tags(strong: [Generation], weak: [Generation])

    /// - Throws: ``Problem`` (400) unless the header is `*` or a list of generations in quotes.
    init?(_ header: String?, name: String) throws(Problem) {
        guard let header else { return nil }
        if header.utf8.elementsEqual("*".utf8) {
            self = .any
            return
        }
        var (strong, weak): ([Generation], [Generation]) = ([], [])
        for item in header.split(separator: ",", omittingEmptySubsequences: false) {
            var text = item.drop { $0 == " " || $0 == "\t" }
            while let last = text.last, last == " " || last == "\t" { text.removeLast() }
            let isWeak = text.hasPrefix("W/")
            if isWeak { text = text.dropFirst(2) }
            let digits = text.dropFirst().dropLast()
            guard text.utf8.count > 2, text.first == "\"", text.last == "\"",
                digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(digits)
            else {
                throw Problem(
                    .invalidETag, "\(name) has to be * or ETags of this API: the generation in quotes, like \"17\"")
            }
            if isWeak { weak.append(Generation(number)) } else { strong.append(Generation(number)) }
        }
        self = .tags(strong: strong, weak: weak)
    }

    /// The weak comparison of `If-None-Match` (RFC 9110 §13.1.2).
    func matchesWeakly(_ generation: Generation) -> Bool {
        switch self {
        case .any: true
        case .tags(let strong, let weak): strong.contains(generation) || weak.contains(generation)
        }
    }
}

extension APIRequest {
    func ifMatch() throws(Problem) -> TagCondition? {
        try TagCondition(headers[.ifMatch], name: "If-Match")
    }

    func ifNoneMatch() throws(Problem) -> TagCondition? {
        try TagCondition(headers[.ifNoneMatch], name: "If-None-Match")
    }
}
