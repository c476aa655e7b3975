import RefreshCore

/// What the hosted profile sets where the configuration says nothing, so that commands are few.
enum HostedDefaults {
    /// 500,000 a month, which is what a free tier gives.
    static let commandBudget = 16_000
    static let leaseTTL = Duration.seconds(1800)
    static let fallbackReread = Duration.seconds(1)
    /// TCP asks after the peer in between.
    static let pingInterval = Duration.seconds(7200)
    static let heartbeatInterval = Duration.seconds(7200)
    /// Of the summary line, which counts the scheduled accounts.
    static let refreshInterval = Duration.seconds(3600)
}
