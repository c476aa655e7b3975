import CurlClient
import FoundationEssentials
import MockProvider

extension Bench {
    /// One request, a token through every instance, and the provider's API takes it.
    func refreshWorks() async throws {
        let subject = try await admit()
        try await waitForGeneration(2, of: subject)
        let uses = uses(of: subject)
        try expect(uses.map(\.outcome) == [.served], "one request, served", seen: words(uses))
        try await expectGoodToken(of: subject)
        let token = try await fleet.token(subject.id, through: 0).document?.accessToken ?? ""
        let answer = try await fleet.http.execute(
            CurlRequest(url: running.origin + double.apiPath, headers: [("Authorization", "Bearer \(token)")]))
        try expect(
            answer.status == 200 && String(decoding: answer.body, as: UTF8.self).contains(subject.account),
            "the provider's API to serve the account", seen: "HTTP \(answer.status)")
    }

    /// The end of the token that callers are told is the one that the double gave it, to the second. Where a life is
    /// given, it counts from before the request was sent: the end may come earlier by as long as an exchange may take.
    func expiryIsReadRight() async throws {
        let subject = try await admit()
        try await waitForGeneration(2, of: subject)
        guard let issued = uses(of: subject).last?.issued,
            let document = try await fleet.token(subject.id, through: trial.number).document
        else { throw Finding(description: "expected a token, saw \(await state(of: subject))") }
        guard let told = Self.milliseconds(document.expiresAt) else {
            throw Finding(description: "expected a time (RFC 3339) as expires_at, saw \(document.expiresAt)")
        }
        let early = issued.expiresAt.milliseconds - told
        let isLife = [.expiresIn, .expiresInText].contains(trial.row.double.style.expiry)
        let tolerance: Int64 = isLife ? 45_000 : 0
        try expect(
            (0...tolerance).contains(early), "the token's end as the double has it, at most \(tolerance) ms early",
            seen: "one \(early) ms before it")
    }

    /// Each request presents what the answer before it brought, and nothing is presented twice, though both instances
    /// are asked at once.
    func rotationIsKept() async throws {
        let subject = try await admit()
        try await waitForGeneration(2, of: subject)
        for generation in Int64(2)...4 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask {
                        _ = try await fleet.refresh(subject.id, ifGeneration: generation, through: number)
                    }
                }
                try await group.waitForAll()
            }
            try await waitForGeneration(generation + 1, of: subject)
        }
        let uses = uses(of: subject)
        try expect(
            uses.count == 4 && uses.allSatisfy { $0.outcome == .served }, "four requests for four generations",
            seen: words(uses))
        try expectChain(uses, from: subject)
        try await expectGoodToken(of: subject)
    }

    /// The answer brings no refresh token, and the next request presents the old one.
    func omissionIsSurvived() async throws {
        let subject = try await admit("a", .omitRefreshToken)
        try await waitForGeneration(2, of: subject)
        let first = uses(of: subject)
        try expect(
            first.count == 1 && first[0].issued?.isRefreshTokenReturned == false, "one answer without a refresh token",
            seen: words(first))
        _ = try await fleet.refresh(subject.id, ifGeneration: 2, through: trial.number)
        try await waitForGeneration(3, of: subject)
        let uses = uses(of: subject)
        try expect(
            uses.count == 2 && uses[1].outcome == .served, "a second request, served", seen: words(uses))
        try expectChain(uses, from: subject)
        try await expectGoodToken(of: subject)
    }

    private func expectChain(_ uses: [DoubleUse], from subject: Subject) throws {
        var expected = subject.grant.refreshToken.map { TokenFingerprint(of: $0) }
        for (number, use) in zip(1..., uses) {
            try expect(
                use.presented == expected, "request \(number) to present the newest refresh token",
                seen: use.isReuse ? "one that had been used" : "another one")
            expected = use.issued?.refreshToken
        }
    }

    /// Of an RFC 3339 time in UTC, since 1970.
    static func milliseconds(_ text: String) -> Int64? {
        let parts = text.dropLast().split(separator: ".", maxSplits: 1)
        guard text.hasSuffix("Z"), let whole = parts.first, let date = try? Date("\(whole)Z", strategy: .iso8601) else {
            return nil
        }
        let fraction = parts.count == 2 ? Double("0.\(parts[1])") ?? 0 : 0
        return Int64(((date.timeIntervalSince1970 + fraction) * 1000).rounded())
    }
}
