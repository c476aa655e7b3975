import CCurl

/// An exchange whose response is kept together and handed over when it is complete.
// @unchecked: `continuation` is set before the transfer is submitted; see Transfer.
final class ExchangeTransfer: Transfer, @unchecked Sendable {
    typealias Outcome = Result<CurlResponse, CurlError>

    var continuation: CheckedContinuation<Outcome, Never>?
    private var collector: ResponseCollector

    override init(_ request: CurlRequest) {
        collector = ResponseCollector(cap: request.maxResponseBytes)
        super.init(request)
    }

    override var hasBegun: Bool { collector.hasBegun }
    override var deadline: ContinuousClock.Instant? { submitted + request.totalTimeout }

    override func prepare(_ easy: EasyHandle) {
        easy.prepareExchange(request)
    }

    override func received(headerLine bytes: UnsafeRawBufferPointer) -> Bool {
        collector.take(headerLine: bytes) || stop(.responseTooLarge)
    }

    override func received(body bytes: UnsafeRawBufferPointer) -> BodyReception {
        collector.take(body: bytes) || stop(.responseTooLarge) ? .taken : .abort
    }

    override func succeed(on easy: EasyHandle) {
        // libcurl takes a connection that ends within the headers for the end of the response.
        guard collector.headersComplete else {
            return fail(.truncated, "the response ended within its headers")
        }
        finish(
            .success(
                easy.response(
                    headers: collector.headers, body: collector.body, primaryIP: primaryIP, submitted: submitted)))
    }

    override func fail(_ error: CurlError) {
        finish(.failure(error))
    }

    private func finish(_ outcome: Outcome) {
        continuation?.resume(returning: outcome)
        continuation = nil
    }
}
