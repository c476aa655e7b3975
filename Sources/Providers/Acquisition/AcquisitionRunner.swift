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

    public func advance(
        _ run: AcquisitionRun, keep: @Sendable (AcquisitionRun) -> Void
    ) async throws(AcquisitionFailure) -> AcquiredAccount {
        guard let chain = chains[run.pool] else {
            throw AcquisitionFailure(.unusable, step: nil, "the pool \(run.pool) has no acquisition chain")
        }
        guard let provider = catalog[chain.provider] else {
            throw AcquisitionFailure(
                .unusable, step: nil, "the provider \(chain.provider) is not in this instance's configuration")
        }
        var run = run
        var values = TemplateValues(moment: run.startedAt, uuid: run.uuid)
        if !provider.clientID.isEmpty { values.set("client_id", provider.clientID) }
        if let secret = provider.clientSecret { values.set("client_secret", secret.reveal()) }
        for variable in provider.variables { values.set("vars.\(variable.name)", variable.value.reveal()) }
        for step in chain.steps {
            let answer: AcquisitionRun.Answer
            if let known = run.answers.first(where: { $0.step == step.name }) {
                answer = known
            } else {
                answer = .init(step: step.name, body: try await exchange(step, of: chain, provider, values))
                run.answers.append(answer)
                keep(run)
            }
            let document = Self.document(answer)
            for extract in step.extracts {
                values.set(
                    AcquisitionScope.name(step, extract), try value(of: extract, in: document, step: step.name))
            }
        }
        return try account(of: chain, values)
    }

    public func progress(of run: AcquisitionRun) -> AcquisitionProgress {
        var progress = AcquisitionProgress(values: 0, isReadable: true)
        for answer in run.answers {
            guard let step = chains[run.pool]?.steps.first(where: { $0.name == answer.step }) else {
                // Not a step of the chain any more; what it has brought nobody can say.
                progress.values += 1
                progress.isReadable = false
                continue
            }
            let document = Self.document(answer)
            for extract in step.extracts {
                if Self.text(of: extract, in: document) == nil {
                    progress.isReadable = false
                } else {
                    progress.values += 1
                }
            }
        }
        return progress
    }

    /// - Returns: the body of a 2xx.
    private func exchange(
        _ step: AcquisitionChain.Step, of chain: AcquisitionChain, _ provider: ProviderDefinition,
        _ values: TemplateValues
    ) async throws(AcquisitionFailure) -> [UInt8] {
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
        // There is no account yet: the way is that of its provider.
        let route = RequestRoute(nil, definition: provider)
        let response: CurlResponse
        let asked = time.wall()
        do {
            response = try await transport.execute(route.lead(request))
        } catch {
            throw AcquisitionFailure(
                error.isOwnFault ? .unusable : .unreachable, step: step.name, route.words(for: error))
        }
        guard (200..<300).contains(response.status) else {
            let headers = response.headers.map { RawTokenResponse.Header(name: $0.name, value: $0.value) }
            let pause = RetryAfter.duration(headers, asked: asked)
            throw AcquisitionFailure(
                Self.cause(status: response.status, isTold: pause != nil), step: step.name, "HTTP \(response.status)",
                retryAfter: pause)
        }
        return response.body
    }

    private static func cause(status: Int, isTold: Bool) -> AcquisitionFailure.Cause {
        switch status {
        case 429: .throttled
        case 503 where isTold: .throttled
        case 408, 500...: .unreachable
        default: .refused
        }
    }

    private static func document(_ answer: AcquisitionRun.Answer) -> JSONValue? {
        try? JSONReader.parse(answer.body, .lenient)
    }

    private static func text(of extract: AcquisitionChain.Extract, in document: JSONValue?) -> String? {
        guard let document else { return nil }
        for pointer in extract.pointers {
            if let text = pointer.value(in: document)?.scalarText, !text.isEmpty { return text }
        }
        return nil
    }

    private func value(
        of extract: AcquisitionChain.Extract, in document: JSONValue?, step: String
    ) throws(AcquisitionFailure) -> String {
        if let text = Self.text(of: extract, in: document) { return text }
        guard document != nil else {
            throw AcquisitionFailure(.unusable, step: step, "the answer is not JSON, and \(extract.name) is wanted")
        }
        let places = extract.pointers.map(\.description).joined(separator: " or ")
        throw AcquisitionFailure(.unusable, step: step, "the answer has no \(extract.name) at \(places)")
    }

    // MARK: The account

    private func account(
        of chain: AcquisitionChain, _ values: TemplateValues
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

extension CurlError {
    /// Whether the same request would fail the same way again.
    fileprivate var isOwnFault: Bool {
        switch code {
        case .responseTooLarge, .malformedURL, .invalidHeader, .invalidRequest: true
        default: false
        }
    }
}
