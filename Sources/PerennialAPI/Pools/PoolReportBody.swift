import JSONText
import RefreshCore

/// The body of `POST /v1/pools/{name}/report`.
struct PoolReportBody {
    static let fields = [
        "account", "generation", "outcome", "until", "retry_after", "dimension", "cause", "lease", "next", "exclude",
        "session", "min_ttl",
    ]

    var report: PoolReport
    /// Nil where the caller needs no other token.
    var next: PoolRequest?

    /// - Throws: ``Problem`` (400) naming the field that is missing, unknown or not acceptable.
    init(_ bytes: [UInt8], pool: PoolName, now: WallTime) throws(Problem) {
        var fields = try JSONFields(bytes)
        let account = try PoolRoutes.account(&fields)
        let outcomes = PoolReport.Outcome.allCases.map(\.rawValue).joined(separator: ", ")
        guard let outcome = try fields.string("outcome").flatMap({ PoolReport.Outcome(rawValue: $0) }) else {
            throw Problem(.malformedBody, "outcome has to be one of \(outcomes)")
        }
        let generation = try Self.generation(&fields)
        guard generation != nil || outcome != .tokenRefused else {
            throw Problem(.malformedBody, "generation is missing: a token is refused for the generation it has")
        }
        let until = try AccountBody.time(fields.take("until"), of: "until")
        let wait = try PoolRoutes.wait(&fields, "retry_after")
        guard until == nil || wait == nil else {
            throw Problem(.malformedBody, "until and retry_after exclude each other")
        }
        let dimension = try PoolRoutes.dimension(fields.string("dimension"))
        let cause = try PoolRoutes.cause(&fields) ?? ""
        let lease = try Self.lease(&fields, pool, account)
        let wantsNext = try fields.bool("next") ?? (outcome != .ok)
        let excluded = try PoolRoutes.excluded(try Self.texts(fields.take("exclude"), "exclude"))
        let session = try PoolRoutes.session(fields.string("session"))
        let minimum = try PoolRoutes.seconds(&fields, "min_ttl")
        try fields.finish(allowed: Self.fields)
        report = PoolReport(
            pool: pool, account: account, generation: generation, outcome: outcome,
            until: until ?? wait.map { now + $0 }, dimension: dimension, cause: cause, lease: lease)
        guard wantsNext else { return }
        var request = PoolRequest(
            pool: pool, excluded: excluded, dimension: dimension, session: session,
            minimumTTL: minimum.map { .seconds($0) })
        switch outcome {
        case .ok: break
        case .quota, .throttled, .failed: request.excluded.insert(account)
        // It has a new token now, if it could be had.
        case .tokenRefused:
            request.preferred = account
            if let generation { request.refused = [account: generation] }
        }
        next = request
    }

    private static func generation(_ fields: inout JSONFields) throws(Problem) -> Generation? {
        switch fields.take("generation") {
        case .none: return nil
        case .integer(let number) where TokenRoutes.generations.contains(number): return Generation(number)
        default: throw Problem(.malformedBody, "generation has to be the whole number that came with the token")
        }
    }

    private static func lease(
        _ fields: inout JSONFields, _ pool: PoolName, _ account: AccountID
    ) throws(Problem) -> PoolLease? {
        guard let text = try fields.string("lease") else { return nil }
        guard let lease = PoolLease(text: text, pool: pool, account: account) else {
            throw Problem(.malformedBody, "lease has to be the text that came with the token")
        }
        return lease
    }

    private static func texts(_ value: JSONValue?, _ name: String) throws(Problem) -> [String] {
        guard let value else { return [] }
        guard case .array(let values) = value else {
            throw Problem(.malformedBody, "\(name) has to be a list of strings, not \(value.kind)")
        }
        var texts: [String] = []
        for value in values {
            guard case .string(let text) = value else {
                throw Problem(.malformedBody, "\(name) has to be a list of strings, and has \(value.kind)")
            }
            texts.append(text)
        }
        return texts
    }
}
