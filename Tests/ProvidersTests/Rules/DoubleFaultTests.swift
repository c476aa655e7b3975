import MockProvider
import Providers
import RefreshCore
import Testing

/// Every answer that the doubles know of, read by the preset that is made for that provider.
struct DoubleFaultTests {
    /// The presets, and for the log-in the codes that only a configuration can know.
    private func definition(_ row: DoubleRow) throws -> (ProviderCatalog, ProviderDefinition) {
        var catalog = try presetCatalog()
        if row == .intranet {
            catalog = try readProviders(
                """
                providers:
                  intranet:
                    preset: intranet
                    token_url: https://h/login
                    response: { access_token: /data/token }
                    errors:
                      token:
                        - { json: { /code: 40001 }, class: refused }
                        - { json: { /code: 40013 }, class: misconfigured }
                """)
        }
        return (catalog, try #require(catalog[name(row.rawValue)]))
    }

    @Test(arguments: DoubleRow.allCases)
    func theTokenEndpoint(row: DoubleRow) throws {
        let (catalog, definition) = try definition(row)
        let faults = DoubleConfiguration(row).faults
        #expect(faults.count > 2)
        for fault in faults {
            let headers = fault.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) }
            let response = RawTokenResponse(
                status: fault.status, headers: headers, body: fault.body, requestedAt: requestedAt)
            let outcome = try #require(catalog.interpret(response, provider: definition.name))
            let expected =
                switch fault.meaning {
                case .final: "refused"
                case .transient: "ambiguous"
                case .misconfigured: "misconfigured"
                case .refresh, .quota: "none: that is the API's"
                }
            #expect(outcome.kind == expected, "\(row.rawValue), \(fault.name): \(outcome)")
        }
    }

    @Test(arguments: DoubleRow.allCases)
    func theAPI(row: DoubleRow) throws {
        let (_, definition) = try definition(row)
        let faults = DoubleConfiguration(row).apiFaults
        #expect(Set(faults.map(\.meaning)) == [.refresh, .quota])
        for fault in faults {
            let answer = ProviderAnswer(
                status: fault.status,
                headers: fault.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) },
                body: fault.body, mapping: definition.response)
            let verdict = definition.errors.classify(answer, now: requestedAt)
            // Where the answer says that something is used up, another account may have some left.
            let isUsedUp = row == .warp || row == .gemini
            let expected: APIErrorClass = fault.meaning == .refresh ? .refresh : isUsedUp ? .quota : .throttle
            #expect(verdict.meaning == expected, "\(row.rawValue), \(fault.name)")
        }
    }
}
