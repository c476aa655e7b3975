import FoundationEssentials
import NIOCore
import Testing

@testable import MockProvider

@Suite("The ledger and its tokens")
struct MockLedgerTests {
    @Test func theRingKeepsTheLatestAndTotalsStayExact() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(rotation: .reusable, ledgerCapacity: 10))
        for _ in 0..<25 {
            provider.advance(by: .milliseconds(1))
            _ = try provider.issued(provider.account.refreshToken)
        }
        let ledger = provider.state.ledger()
        #expect(ledger.totals.refreshes == 25)
        #expect(ledger.uses.map(\.sequence) == Array(16...25))
        #expect(ledger.uses.last?.at == provider.now)
        #expect(provider.state.ledger(after: 20, limit: 3).uses.map(\.sequence) == [21, 22, 23])
        #expect(provider.state.ledger(after: 3, limit: 2).uses.map(\.sequence) == [16, 17])
        #expect(provider.state.ledger(after: 25).uses.isEmpty)
        #expect(provider.state.ledger(after: .max).uses.isEmpty)
        #expect(provider.state.ledger(limit: 0).uses.isEmpty)
    }

    @Test func theLedgerNeverHoldsAToken() throws {
        var provider = ProviderUnderTest()
        _ = try provider.issued(provider.account.refreshToken)
        let use = try #require(provider.state.ledger().uses.first)
        #expect(use.fingerprint == TokenFingerprint(of: provider.account.refreshToken))
        #expect(use.account == "acct-1" && use.family == 0)
        #expect(!"\(use)".contains(provider.account.refreshToken))
    }

    @Test func nothingThatHoldsASecretShowsIt() throws {
        var provider = ProviderUnderTest(MockProviderConfiguration(clientID: "backend", clientSecret: "hush"))
        let client = MockTokenRequest.Client(id: "backend", secret: "hush")
        let request = MockTokenRequest(.refreshToken(provider.account.refreshToken), client: client)
        let values: [Any] = [
            provider.account, request, client, provider.state.configuration,
            provider.state.token(request, at: provider.now),
        ]
        for value in values {
            var dumped = ""
            dump(value, to: &dumped)
            for text in ["\(value)", String(reflecting: value), dumped] {
                #expect(!text.contains("hush") && !text.contains("mrt_") && !text.contains("mat_"))
            }
        }
    }

    @Test func theFingerprintIsTheStartOfSHA256() throws {
        // FIPS 180-2, appendix B.1.
        #expect(TokenFingerprint(of: "abc").description == "ba7816bf8f01")
        #expect(TokenFingerprint("ba7816bf8f01") == TokenFingerprint(of: "abc"))
        #expect(TokenFingerprint(bits: 0x1).description == "000000000001")
        #expect(TokenFingerprint("ba7816") == nil)
    }

    @Test func usesOfOldTokensAreCountedAcrossRotations() throws {
        var provider = ProviderUnderTest(
            MockProviderConfiguration(reuseDetection: false, faults: [MockFault(.errorBefore(status: 500), .next(2))]))
        let first = provider.account.refreshToken
        _ = provider.refresh(first)
        _ = provider.refresh(first)
        let second = try #require(try provider.issued(first).refreshToken)
        let third = try #require(try provider.issued(second).refreshToken)
        _ = try provider.issued(third)
        #expect(provider.state.totals.maxUsesOfOneToken == 3)
        _ = provider.refresh(first)
        #expect(provider.state.totals.maxUsesOfOneToken == 4)
        for _ in 0..<4 { _ = provider.refresh(second) }
        #expect(provider.state.totals.maxUsesOfOneToken == 5)
        #expect(provider.state.totals.duplicateSpends == 5)
    }

    @Test func tokensAreUniqueAndReadBack() {
        let codec = MockTokenCodec(seed: 42)
        var seen: Set<String> = []
        for family in UInt32(0)..<100 {
            for generation in UInt32(0)..<100 {
                let refresh = MockTokenCodec.Refresh(family: family, generation: generation)
                let access = MockTokenCodec.Access(
                    family: family, serial: generation, expiresAt: MockInstant(milliseconds: Int64(generation) - 50))
                #expect(seen.insert(codec.text(refresh)).inserted)
                #expect(seen.insert(codec.text(access)).inserted)
                #expect(codec.refresh(codec.text(refresh)) == refresh)
                #expect(codec.access(Substring(codec.text(access))) == access)
            }
        }
        let token = codec.text(MockTokenCodec.Refresh(family: 1, generation: 1))
        #expect(MockTokenCodec(seed: 43).refresh(token) == nil)
        #expect(codec.refresh(token.uppercased()) == nil)
        #expect(codec.refresh(token + "0") == nil)
        #expect(codec.refresh("ö" + token.dropFirst(2)) == nil)
    }

    @Test func handWrittenJSONIsReadByADecoder() throws {
        var buffer = ByteBuffer()
        let nasty = "a\"b\\c\n\u{1}\u{1F600}é/"
        buffer.writeJSON(nasty)
        let data = Data(buffer.readableBytesView)
        #expect(try JSONDecoder().decode(String.self, from: data) == nasty)
    }

    @Test func secondsRoundDownOnBothSidesOf1970() {
        #expect(MockInstant(milliseconds: 1999).flooredSeconds == 1)
        #expect(MockInstant(milliseconds: -1).flooredSeconds == -1)
        #expect(MockInstant(milliseconds: .max).advanced(by: .seconds(5)).milliseconds == .max)
        #expect(Duration.seconds(Int64.max).wholeMilliseconds == .max)
    }
}

@Suite("Parameters of a token request")
struct TokenParametersTests {
    @Test func aFormIsDecoded() throws {
        let parameters = try TokenParameters(
            form: Array("grant_type=refresh%5Ftoken&refresh_token=a%2Bb+c%C3%A9&scope=x&scope=y&client_id=&flag".utf8))
        #expect(parameters.grantType == "refresh_token")
        #expect(parameters.refreshToken == "a+b cé")
        #expect(parameters.clientID == nil)
    }

    @Test(arguments: [
        "refresh_token=%", "refresh_token=%4", "refresh_token=%zz", "refresh_token=%FF",
        "grant_type=a&grant_type=a",
    ])
    func aMalformedFormIsRefused(form: String) {
        #expect(throws: TokenParameters.Malformed.self) { try TokenParameters(form: Array(form.utf8)) }
    }

    @Test func basicCredentialsAreFormDecoded() {
        // "back%3Aend:s%2B1", base64.
        let header = "Basic " + Data("back%3Aend:s%2B1".utf8).base64EncodedString()
        #expect(BasicCredentials(header)?.id == "back:end")
        #expect(BasicCredentials(header)?.secret == "s+1")
        #expect(BasicCredentials("Basic !!!") == nil)
        #expect(BasicCredentials("Bearer abcdef") == nil)
        #expect(BasicCredentials("Basic " + Data("nocolon".utf8).base64EncodedString()) == nil)
    }
}

@Suite("Configuration of the provider")
struct MockProviderConfigurationTests {
    @Test func theDefaultIsValid() throws {
        try MockProviderConfiguration().validate()
    }

    @Test(arguments: [
        (MockProviderConfiguration(port: 70_000), "port 70000"),
        (MockProviderConfiguration(unixSocket: ""), "Unix socket"),
        (MockProviderConfiguration(rotation: .grace(.zero)), "grace"),
        (MockProviderConfiguration(accessTokenLifetime: .zero), "lifetime"),
        (MockProviderConfiguration(latency: .seconds(-1)), "latency"),
        (MockProviderConfiguration(omitRefreshToken: true), "reusable"),
        (MockProviderConfiguration(clientSecret: "x"), "needs a client id"),
        (MockProviderConfiguration(clientID: ""), "not empty"),
        (MockProviderConfiguration(faults: [MockFault(.errorAfter(status: 1))]), "status"),
        (MockProviderConfiguration(ledgerCapacity: 0), "ledger"),
    ])
    func whatIsOutOfRangeIsNamed(configuration: MockProviderConfiguration, part: String) {
        let error = #expect(throws: MockProviderError.self) { try configuration.validate() }
        #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }
}
