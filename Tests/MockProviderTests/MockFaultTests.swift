import Testing

@testable import MockProvider

@Suite("Faults at the token endpoint")
struct MockFaultTests {
    private static let before: [MockFault.Kind] = [
        .errorBefore(status: 503), .hangBefore(.seconds(60)), .throttle(retryAfter: .milliseconds(1500)),
        .invalidGrant, .invalidClient, .dropConnectionBefore,
    ]
    private static let after: [MockFault.Kind] = [
        .errorAfter(status: 502), .hangAfter(.seconds(60)), .truncatedBody, .unparseable, .dropConnectionAfter,
    ]

    @Test(arguments: before) func aFaultBeforeRotationLeavesTheTokenUnspent(kind: MockFault.Kind) throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(faults: [MockFault(kind, .next(1))]))
        let answer = provider.refresh(provider.account.refreshToken)
        if case .issued = answer.content { Issue.record("issued despite \(kind.name)") }
        #expect(provider.state.totals.refreshes == 0)
        _ = try provider.issued(provider.account.refreshToken)
        #expect(provider.state.totals.duplicateSpends == 0)
        #expect(provider.state.totals.faults == [kind.name: 1])
        #expect(provider.state.totals.maxUsesOfOneToken == 2)
        #expect(provider.outcomes == ["fault:\(kind.name)", "rotated"])
    }

    @Test(arguments: after) func aFaultAfterRotationHasSpentTheToken(kind: MockFault.Kind) throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(faults: [MockFault(kind, .next(1))]))
        let answer = provider.refresh(provider.account.refreshToken)
        #expect(provider.state.totals.refreshes == 1)
        switch kind {
        case .errorAfter: #expect(answer.content == .failure(status: 502))
        case .hangAfter: #expect(answer.hold == .seconds(60))
        case .truncatedBody: #expect(answer.delivery == .truncated)
        case .unparseable: #expect(answer.content == .html)
        default: #expect(answer.delivery == .dropped)
        }
        _ = provider.refresh(provider.account.refreshToken)
        #expect(provider.state.totals.duplicateSpends == 1)
        #expect(provider.state.totals.familiesRevoked == 1)
        #expect(provider.outcomes == ["fault:\(kind.name)", "reuse"])
    }

    @Test func aLostSuccessorIsRecoveredInsideTheGrace() throws {
        var provider = ProviderUnderTest(
            MockProviderConfiguration(
                rotation: .grace(.seconds(30)), faults: [MockFault(.errorAfter(status: 500), .next(1))]))
        _ = provider.refresh(provider.account.refreshToken)
        let recovered = try provider.issued(provider.account.refreshToken)
        _ = try provider.issued(try #require(recovered.refreshToken))
        #expect(provider.state.totals.duplicateSpends == 0)
        #expect(provider.outcomes == ["fault:error-after", "grace_replay", "rotated"])
    }

    @Test func aSpentTokenSentIntoAFaultStillCounts() throws {
        var provider = ProviderUnderTest()
        _ = try provider.issued(provider.account.refreshToken)
        provider.state.setFaults([MockFault(.errorBefore(status: 500), .next(1))])
        _ = provider.refresh(provider.account.refreshToken)
        #expect(provider.state.totals.duplicateSpends == 1)
        #expect(provider.state.totals.familiesRevoked == 0)
        #expect(provider.state.ledger().uses.map(\.isDuplicateSpend) == [false, true])
    }

    @Test func aFaultAfterRotationWaitsForARequestThatRotates() throws {
        var provider = ProviderUnderTest(
            MockProviderConfiguration(faults: [MockFault(.errorAfter(status: 500), .next(1))]))
        _ = provider.refresh("unknown")
        #expect(provider.state.totals.faults.isEmpty)
        #expect(provider.refresh(provider.account.refreshToken).content == .failure(status: 500))
        #expect(provider.state.faults == [MockFault(.errorAfter(status: 500), .next(0))])
    }

    @Test func throttlingTellsWholeSeconds() {
        var provider = ProviderUnderTest(
            MockProviderConfiguration(faults: [MockFault(.throttle(retryAfter: .milliseconds(1500)))]))
        #expect(provider.refresh(provider.account.refreshToken).content == .throttled(retryAfter: 2))
        #expect(provider.state.totals.throttled == 1)
    }

    @Test func aFaultCanBeForOneAccount() throws {
        var provider = ProviderUnderTest(
            MockProviderConfiguration(faults: [MockFault(.invalidGrant, account: "other-1")]))
        let other = provider.state.seedAccounts(count: 1, prefix: "other-", at: provider.now)[0]
        _ = try provider.issued(provider.account.refreshToken)
        if case .issued = provider.refresh(other.refreshToken).content { Issue.record("the fault missed its account") }
        let client = provider.state.token(MockTokenRequest(.clientCredentials), at: provider.now)
        guard case .issued = client.content else {
            Issue.record("the fault hit a request without an account")
            return
        }
    }

    @Test func theSameSeedGivesTheSameCourse() throws {
        func course(seed: UInt64) throws -> [MockTokenAnswer] {
            var provider = ProviderUnderTest(
                MockProviderConfiguration(
                    rotation: .grace(.seconds(3600)), latency: .milliseconds(5), latencyJitter: .milliseconds(10),
                    seed: seed,
                    faults: [
                        MockFault(.errorAfter(status: 500), .probability(0.3)),
                        MockFault(.invalidGrant, .probability(0.2)),
                    ]
                ))
            var token = provider.account.refreshToken
            return (0..<200).map { _ in
                let answer = provider.refresh(token)
                if case .issued(let issued) = answer.content { token = issued.refreshToken ?? token }
                return answer
            }
        }
        let first = try course(seed: 7)
        #expect(try course(seed: 7) == first)
        #expect(try course(seed: 8) != first)
        #expect(first.contains { $0.content == .failure(status: 500) })
        #expect(first.allSatisfy { $0.hold >= .milliseconds(5) && $0.hold <= .milliseconds(15) })
        #expect(Set(first.map(\.hold)).count > 5)
    }

    @Test func probabilitiesAreMet() {
        var provider = ProviderUnderTest(
            MockProviderConfiguration(rotation: .reusable, faults: [MockFault(.invalidGrant, .probability(0.05))]))
        for _ in 0..<20_000 { _ = provider.refresh(provider.account.refreshToken) }
        let struck = provider.state.totals.faults["invalid-grant"] ?? 0
        // Five standard deviations around 1,000.
        #expect((846...1154).contains(struck))
    }
}

@Suite("Text and JSON of faults")
struct MockFaultTextTests {
    @Test(arguments: [
        ("error-after:502@0.05", MockFault(.errorAfter(status: 502), .probability(0.05))),
        ("error_before", MockFault(.errorBefore(status: 500))),
        ("throttle:2s@x3", MockFault(.throttle(retryAfter: .seconds(2)), .next(3))),
        ("hang-before:500ms", MockFault(.hangBefore(.milliseconds(500)))),
        ("hang-after:1.5m@0", MockFault(.hangAfter(.seconds(90)), .probability(0))),
        ("throttle:7", MockFault(.throttle(retryAfter: .seconds(7)))),
        ("drop-after@x1,account=a@b,c", MockFault(.dropConnectionAfter, .next(1), account: "a@b,c")),
        ("truncated", MockFault(.truncatedBody)), ("unparseable@1", MockFault(.unparseable)),
        ("invalid-grant", MockFault(.invalidGrant)), ("invalid-client", MockFault(.invalidClient)),
        ("drop-before", MockFault(.dropConnectionBefore)),
    ])
    func textIsRead(text: String, fault: MockFault) throws {
        #expect(try MockFault(parsing: text) == fault)
        #expect(try MockFault(parsing: fault.description) == fault)
    }

    @Test(arguments: [
        ("", "there is no fault ''"), ("explode", "use one of error-before"),
        ("error-after:200", "between 500 and 599"), ("error-after:abc", "'abc' is no status"),
        ("error-after@1.5", "between 0 and 1"), ("error-after@nan", "between 0 and 1"),
        ("error-after@often", "'@often' is no frequency"), ("error-after@x", "'@x' is no count"),
        ("error-after@x0", "between 1 and"), ("error-after@x-1", "between 1 and"),
        ("truncated:5", "takes no argument"), ("hang-before:-1s", "'-1s' is no time"),
        ("hang-before:soon", "'soon' is no time"), ("hang-before:100h", "24 hours"),
        ("truncated,who=a", "after the comma comes account=ID"), ("truncated,account=", "account=ID"),
    ])
    func badTextSaysWhatIsWrong(text: String, part: String) {
        let error = #expect(throws: MockProviderError.self) { try MockFault(parsing: text) }
        #expect(error?.code == .invalidFault)
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }

    @Test func everyNameIsKnown() throws {
        for name in MockFault.Kind.names {
            #expect(try MockFault.Kind(name: name, argument: nil).name == name)
        }
    }
}
