import CurlClient
import JSONText
public import RefreshCore

/// Runs chains: each request once, one after the other.
public struct AcquisitionRunner: AccountAcquirer {
    private let chains: [PoolName: AcquisitionChain]
    private let catalog: ProviderCatalog
    private let transport: any TokenTransport
    private let time: any TimeSource

    public init(
        chains: [PoolName: AcquisitionChain], catalog: ProviderCatalog, transport: any TokenTransport,
        time: any TimeSource
    ) {
        self.chains = chains
        self.catalog = catalog
        self.transport = transport
        self.time = time
    }

    public func acquire(for pool: PoolName) async throws(AcquisitionFailure) -> AcquiredAccount {
        guard let chain = chains[pool] else {
            throw AcquisitionFailure(.unusable, step: nil, "the pool \(pool) has no acquisition chain")
        }
        return try await run(chain)
    }

    private func run(_ chain: AcquisitionChain) async throws(AcquisitionFailure) -> AcquiredAccount {
        guard let provider = catalog[chain.provider] else {
            throw AcquisitionFailure(
                .unusable, step: nil, "the provider \(chain.provider) is not in this instance's configuration")
        }
        var values = TemplateValues(moment: time.wall(), uuid: TokenRequest.newUUID())
        if !provider.clientID.isEmpty { values.set("client_id", provider.clientID) }
        if let secret = provider.clientSecret { values.set("client_secret", secret.reveal()) }
        for variable in provider.variables { values.set("vars.\(variable.name)", variable.value.reveal()) }
        for step in chain.steps {
            let answer = try await exchange(step, of: chain, values)
            for extract in step.extracts {
                values.set("steps.\(step.name).\(extract.name)", try value(of: extract, in: answer, step: step.name))
            }
        }
        return try account(of: chain, provider, values)
    }

    private func exchange(
        _ step: AcquisitionChain.Step, of chain: AcquisitionChain, _ values: TemplateValues
    ) async throws(AcquisitionFailure) -> JSONValue? {
        let rendered: RenderedRequest
        do {
            rendered = try step.request.render { template throws(TemplateFailure) in try template.render(values) }
        } catch {
            throw AcquisitionFailure(.unusable, step: step.name, "the request cannot be made: \(error.description)")
        }
        let request = CurlRequest(
            method: rendered.method, url: rendered.url, headers: rendered.headers,
            body: rendered.body.map { Array($0.utf8) }, connectTimeout: min(.seconds(5), chain.stepTimeout),
            totalTimeout: chain.stepTimeout, maxResponseBytes: TokenRequest.maximumResponse,
            tls: CurlTLS(caFile: chain.caFile), singleSend: true)
        let response: CurlResponse
        let asked = time.wall()
        do {
            response = try await transport.execute(request)
        } catch {
            throw AcquisitionFailure(.unreachable, step: step.name, error.message)
        }
        guard (200..<300).contains(response.status) else {
            let headers = response.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) }
            let pause = RetryAfter.duration(headers, asked: asked)
            let isThrottled = response.status == 429 || (response.status == 503 && pause != nil)
            throw AcquisitionFailure(
                isThrottled ? .throttled : .refused, step: step.name, "HTTP \(response.status)", retryAfter: pause)
        }
        return try? JSONReader.parse(response.body, .lenient)
    }

    private func value(
        of extract: AcquisitionChain.Extract, in answer: JSONValue?, step: String
    ) throws(AcquisitionFailure) -> String {
        guard let answer else {
            throw AcquisitionFailure(.unusable, step: step, "the answer is not JSON, and \(extract.name) is wanted")
        }
        for pointer in extract.pointers {
            if let text = pointer.value(in: answer)?.scalarText, !text.isEmpty { return text }
        }
        let places = extract.pointers.map(\.description).joined(separator: " or ")
        throw AcquisitionFailure(.unusable, step: step, "the answer has no \(extract.name) at \(places)")
    }

    // MARK: The account

    private func account(
        of chain: AcquisitionChain, _ provider: ProviderDefinition, _ values: TemplateValues
    ) throws(AcquisitionFailure) -> AcquiredAccount {
        do {
            let id = try AccountID(try chain.accountID.render(values))
            let name = try chain.displayName?.render(values)
            return AcquiredAccount(
                id: id, provider: chain.provider, name: name, credential: try credential(of: chain, values))
        } catch {
            // Neither says what a value was.
            throw AcquisitionFailure(.unusable, step: nil, "the new account cannot be stored: \(error)")
        }
    }

    private func credential(
        of chain: AcquisitionChain, _ values: TemplateValues
    ) throws -> AccountCredential {
        switch chain.credential {
        case .refreshToken(let template):
            let token = Secret(try template.render(values))
            try InvalidToken.check(token, field: "refresh_token")
            return .refreshToken(token)
        case .fields(let fields):
            var made: [String: Secret] = [:]
            for field in fields { made[field.name] = Secret(try field.value.render(values)) }
            return .fields(AccountFields(made))
        }
    }
}
