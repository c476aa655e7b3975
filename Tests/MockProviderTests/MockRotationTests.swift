import Testing

@testable import MockProvider

/// A provider with one account and a clock in the test's hand.
struct ProviderUnderTest {
    var state: MockProviderState
    let account: MockAccount
    var now = MockInstant(milliseconds: 1_700_000_000_000)

    init(_ configuration: MockProviderConfiguration = MockProviderConfiguration()) {
        state = MockProviderState(configuration: configuration)
        account = state.seedAccounts(count: 1, at: now)[0]
    }

    mutating func refresh(_ token: String, client: MockTokenRequest.Client? = nil) -> MockTokenAnswer {
        state.token(MockTokenRequest(.refreshToken(token), client: client), at: now)
    }

    mutating func issued(_ token: String, sourceLocation: SourceLocation = #_sourceLocation) throws
        -> MockTokenAnswer.Issued
    {
        let answer = refresh(token)
        guard case .issued(let issued) = answer.content else {
            Issue.record("refused: \(answer)", sourceLocation: sourceLocation)
            throw MockProviderError(.invalidRequest, "refused")
        }
        return issued
    }

    mutating func resource(_ token: String) -> MockResourceAnswer {
        state.resource(bearer: Substring(token), at: now)
    }

    mutating func advance(by duration: Duration) {
        now = now.advanced(by: duration)
    }

    var outcomes: [String] { state.ledger().uses.map(\.outcome.description) }
}

private func isInvalidGrant(_ answer: MockTokenAnswer) -> Bool {
    guard case .refused(status: 400, error: "invalid_grant", description: _) = answer.content else { return false }
    return true
}

@Suite("Rotation of refresh tokens")
struct MockRotationTests {
    @Test func singleUseIssuesAChainOfSuccessors() throws {
        var provider = ProviderUnderTest()
        var token = provider.account.refreshToken
        var seen: Set<String> = [token]
        for _ in 0..<50 {
            let issued = try provider.issued(token)
            token = try #require(issued.refreshToken)
            #expect(seen.insert(token).inserted)
            #expect(issued.expiresIn == 3600)
            #expect(provider.resource(issued.accessToken) == .ok(account: "acct-1"))
        }
        #expect(provider.state.totals.refreshes == 50)
        #expect(provider.state.totals.duplicateSpends == 0)
        #expect(provider.state.totals.maxUsesOfOneToken == 1)
    }

    @Test func reuseRevokesTheWholeFamily() throws {
        var provider = ProviderUnderTest()
        let first = try provider.issued(provider.account.refreshToken)
        let successor = try #require(first.refreshToken)
        #expect(isInvalidGrant(provider.refresh(provider.account.refreshToken)))
        #expect(isInvalidGrant(provider.refresh(successor)))
        #expect(provider.resource(first.accessToken) == .invalid)
        #expect(provider.resource(provider.account.accessToken) == .invalid)
        let totals = provider.state.totals
        #expect(totals.familiesRevoked == 1)
        #expect(totals.duplicateSpends == 1)
        #expect(totals.refused == 1)
        #expect(totals.maxUsesOfOneToken == 2)
        #expect(provider.outcomes == ["rotated", "reuse", "refused"])
    }

    @Test func aRevokedFamilyIsCountedOnceAndEveryFurtherReuseIsCounted() throws {
        var provider = ProviderUnderTest()
        _ = try provider.issued(provider.account.refreshToken)
        for _ in 0..<3 { _ = provider.refresh(provider.account.refreshToken) }
        #expect(provider.state.totals.familiesRevoked == 1)
        #expect(provider.state.totals.duplicateSpends == 3)
        #expect(provider.state.totals.maxUsesOfOneToken == 4)
    }

    @Test func reuseIsOnlyRefusedWithoutReuseDetection() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(reuseDetection: false))
        let successor = try #require(try provider.issued(provider.account.refreshToken).refreshToken)
        #expect(isInvalidGrant(provider.refresh(provider.account.refreshToken)))
        _ = try provider.issued(successor)
        #expect(provider.state.totals.familiesRevoked == 0)
        #expect(provider.state.totals.duplicateSpends == 1)
    }

    @Test func reuseOfOneAccountLeavesTheOthersAlone() throws {
        var provider = ProviderUnderTest()
        let other = provider.state.seedAccounts(count: 1, prefix: "other-", at: provider.now)[0]
        _ = try provider.issued(provider.account.refreshToken)
        _ = provider.refresh(provider.account.refreshToken)
        _ = try provider.issued(other.refreshToken)
        #expect(provider.resource(other.accessToken) == .ok(account: "other-1"))
    }

    @Test func graceAnswersTheSameSuccessorAgain() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .grace(.seconds(30))))
        let first = try provider.issued(provider.account.refreshToken)
        provider.advance(by: .milliseconds(29_999))
        let replay = try provider.issued(provider.account.refreshToken)
        #expect(replay.refreshToken == first.refreshToken)
        #expect(replay.accessToken == first.accessToken)
        #expect(replay.expiresIn == 3570)
        #expect(provider.state.totals.graceReplays == 1)
        #expect(provider.state.totals.duplicateSpends == 0)
        #expect(provider.outcomes == ["rotated", "grace_replay"])
    }

    @Test func afterTheGraceItIsReuse() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .grace(.seconds(30))))
        let first = try provider.issued(provider.account.refreshToken)
        provider.advance(by: .seconds(30))
        #expect(isInvalidGrant(provider.refresh(provider.account.refreshToken)))
        #expect(isInvalidGrant(provider.refresh(try #require(first.refreshToken))))
        #expect(provider.state.totals.familiesRevoked == 1)
    }

    @Test func theGraceRunsFromTheFirstUseAndIsNotProlongedByReplays() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .grace(.seconds(30))))
        _ = try provider.issued(provider.account.refreshToken)
        provider.advance(by: .seconds(20))
        _ = try provider.issued(provider.account.refreshToken)
        provider.advance(by: .seconds(20))
        #expect(isInvalidGrant(provider.refresh(provider.account.refreshToken)))
    }

    @Test func theGraceCoversOnlyTheLastConsumedToken() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .grace(.seconds(30))))
        let second = try #require(try provider.issued(provider.account.refreshToken).refreshToken)
        _ = try provider.issued(second)
        #expect(isInvalidGrant(provider.refresh(provider.account.refreshToken)))
        #expect(provider.state.totals.familiesRevoked == 1)
    }

    @Test func reusableTokensSurvive() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .reusable))
        var accessTokens: Set<String> = [provider.account.accessToken]
        for _ in 0..<10 {
            let issued = try provider.issued(provider.account.refreshToken)
            #expect(issued.refreshToken == provider.account.refreshToken)
            #expect(accessTokens.insert(issued.accessToken).inserted)
        }
        #expect(provider.state.totals.duplicateSpends == 0)
        #expect(provider.state.totals.maxUsesOfOneToken == 10)
        #expect(Set(provider.outcomes) == ["reused_allowed"])
    }

    @Test func theRefreshTokenMayBeLeftOut() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .reusable, omitRefreshToken: true))
        #expect(try provider.issued(provider.account.refreshToken).refreshToken == nil)
        _ = try provider.issued(provider.account.refreshToken)
    }

    @Test func anUnknownTokenIsRefused() {
        var provider = ProviderUnderTest()
        #expect(isInvalidGrant(provider.refresh("never-issued")))
        #expect(isInvalidGrant(provider.refresh("")))
        var flipped = provider.account.refreshToken
        flipped.removeLast()
        flipped.append(provider.account.refreshToken.hasSuffix("0") ? "1" : "0")
        #expect(isInvalidGrant(provider.refresh(flipped)))
        #expect(isInvalidGrant(provider.refresh(provider.account.accessToken)))
        #expect(provider.state.totals.refused == 4)
        #expect(provider.state.totals.duplicateSpends == 0)
        #expect(provider.state.ledger().uses.allSatisfy { $0.account == nil && $0.family == nil })
    }

    @Test func aTokenOfAnotherRunWithTheSameSeedIsNoReuse() throws {
        var earlier = ProviderUnderTest()
        let successor = try #require(try earlier.issued(earlier.account.refreshToken).refreshToken)
        var later = ProviderUnderTest()
        #expect(isInvalidGrant(later.refresh(successor)))
        #expect(later.state.totals.familiesRevoked == 0)
        _ = try later.issued(later.account.refreshToken)
    }

    @Test func accessTokensExpireOnTheMillisecond() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(accessTokenLifetime: .seconds(20)))
        #expect(provider.resource(provider.account.accessToken) == .ok(account: "acct-1"))
        provider.advance(by: .milliseconds(19_999))
        #expect(provider.resource(provider.account.accessToken) == .ok(account: "acct-1"))
        provider.advance(by: .milliseconds(1))
        #expect(provider.resource(provider.account.accessToken) == .expired)
        #expect(provider.state.resource(bearer: nil, at: provider.now) == .missing)
        #expect(provider.resource("nonsense") == .invalid)
        #expect(provider.resource(provider.account.refreshToken) == .invalid)
        let totals = provider.state.totals
        #expect(totals.resourceOK == 2 && totals.resourceExpired == 1 && totals.resourceInvalid == 3)
    }

    @Test func revokingAnAccountEndsAllItsGrants() throws {
        var provider = ProviderUnderTest()
        let again = provider.state.seedAccounts(count: 1, at: provider.now)[0]
        #expect(again.id == provider.account.id)
        #expect(again.refreshToken != provider.account.refreshToken)
        #expect(provider.state.totals.accounts == 1)
        #expect(provider.state.revoke(account: "acct-1") == 2)
        #expect(provider.state.revoke(account: "acct-1") == 0)
        #expect(provider.state.revoke(account: "nobody") == nil)
        #expect(isInvalidGrant(provider.refresh(again.refreshToken)))
        #expect(provider.resource(provider.account.accessToken) == .invalid)
        #expect(provider.state.totals.familiesRevokedByAdmin == 2)
        #expect(provider.state.totals.familiesRevoked == 0)
    }

    @Test func clientCredentialsGetNoRefreshToken() throws {
        var provider = ProviderUnderTest()
        let answer = provider.state.token(MockTokenRequest(.clientCredentials), at: provider.now)
        guard case .issued(let issued) = answer.content else {
            Issue.record("refused: \(answer)")
            return
        }
        #expect(issued.refreshToken == nil)
        #expect(provider.resource(issued.accessToken) == .ok(account: "client"))
        #expect(provider.state.totals.clientCredentials == 1)
        #expect(provider.state.ledger().uses.isEmpty)
    }

    @Test func theClientMustProveItself() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(clientID: "backend", clientSecret: "s3cret"))
        let token = provider.account.refreshToken
        for client in [nil, .init(id: "backend"), .init(id: "backend", secret: "no"), .init(id: "x", secret: "s3cret")]
            as [MockTokenRequest.Client?]
        {
            guard
                case .refused(status: 401, error: "invalid_client", description: _) =
                    provider.refresh(token, client: client).content
            else {
                Issue.record("accepted \(String(describing: client))")
                continue
            }
        }
        guard case .issued = provider.refresh(token, client: .init(id: "backend", secret: "s3cret")).content else {
            Issue.record("refused the right client")
            return
        }
        #expect(provider.state.totals.refused == 4)
        #expect(provider.state.totals.refreshes == 1)
    }
}
