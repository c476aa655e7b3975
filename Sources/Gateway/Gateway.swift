public import Metrics
public import Logging
public import Providers
public import RefreshCore

/// Where the gateway gets the tokens of accounts.
public protocol GatewayTokens: Sendable {
    /// From trusted memory, where it is good for everybody; costs nothing.
    func warm(_ account: AccountID) -> TokenAnswer?
    func serve(_ request: TokenRequest) async throws(RefreshFailure) -> ServedToken
    /// Whether a refresh can be asked for because the token of that generation was refused; costs nothing.
    func canReplace(_ account: AccountID, refused generation: Generation) -> Bool
}

extension TokenReader: GatewayTokens {}

/// Makes calls for callers: finds the route, puts the token in, and takes care of tokens that die and quotas that end.
public final class Gateway: Sendable {
    /// A route with what can be worked out before there are calls. A class: routes are too large to be copied for each.
    final class Prepared: Sendable {
        let route: GatewayRoute
        let book: RuleBook

        init(_ route: GatewayRoute, providers: ProviderCatalog) {
            self.route = route
            self.book = RuleBook(route: route, providers: providers)
        }

        /// Whether the caller's `Accept-Encoding` is passed on with a token of that provider.
        func passesEncoding(_ provider: ProviderName?) -> Bool {
            switch route.compression {
            case .pass: true
            case .off: false
            case .auto: !book.sheet(provider).looksAtBodies
            }
        }
    }

    let tokens: any GatewayTokens
    /// Nil where no pools are configured.
    let pools: (any PoolPicking)?
    let upstream: any Upstream
    let providers: ProviderCatalog
    let time: any TimeSource
    let space: SpillSpace
    let logger: Logger
    let metrics: GatewayMetrics
    private let routes: [String: Prepared]

    /// - Parameters:
    ///   - spillDirectory: for the bodies of requests that are too large for memory; has to exist.
    ///   - spill: how much room they may take; its own directory does not count.
    public init(
        routes: RouteCatalog, tokens: any GatewayTokens, pools: (any PoolPicking)?, upstream: any Upstream,
        providers: ProviderCatalog, time: any TimeSource, spillDirectory: String,
        spill: SpillSettings = SpillSettings(), metrics: any MetricsFactory = NOOPMetricsHandler.instance,
        logger: Logger
    ) {
        self.tokens = tokens
        self.pools = pools
        self.upstream = upstream
        self.providers = providers
        self.time = time
        space = SpillSpace(spill, directory: spillDirectory, time: time, logger: logger)
        self.metrics = GatewayMetrics(metrics)
        self.logger = logger
        var prepared: [String: Prepared] = [:]
        for route in routes.routes {
            prepared[route.name] = Prepared(route, providers: providers)
        }
        self.routes = prepared
    }

    /// Answers one request.
    ///
    /// - Throws: ``GatewayFailure`` as long as no answer has begun: then the caller is to be told why. An answer that is cut
    ///   short ends with ``CallerFault/gone`` inside of it, and the connection has to be closed.
    public func serve(_ caller: any GatewayCaller) async throws(GatewayFailure) {
        metrics.began()
        defer { metrics.ended() }
        let request = caller.request
        guard let target = RequestTarget(request.target), let prepared = routes[String(target.route)] else {
            throw .refused(.routeNotFound, "there is no such route: see routes in the configuration")
        }
        var call = GatewayCall(gateway: self, prepared: prepared, caller: caller)
        do {
            try await call.run(target)
        } catch {
            var error = error
            error.log = call.log
            error.account = error.account ?? call.account
            switch error.reason {
            case .callerGone: metrics.abandoned(prepared.route.name)
            case .cut: metrics.cut(prepared.route.name)
            default: break
            }
            throw error
        }
    }

    /// Counts an answer that somebody else gave for ``serve(_:)``.
    public func failed(_ request: GatewayRequest, status: Int, _ log: AttemptLog) {
        let name = RequestTarget(request.target).map { String($0.route) } ?? ""
        // Only names of the configuration: others would make metrics without bounds.
        metrics.answered(routes[name] == nil ? "unknown" : name, status: status, log, after: nil)
    }
}
