import ConfigurationFile

/// The perennial.yaml of one instance. They differ in the wires they use.
struct ChaosConfiguration: Sendable {
    struct Provider: Sendable {
        var rotation: Rotation
        var tokenURL: String
    }

    var plan: ChaosPlan
    var redisURL: String
    var providers: [Provider]
    var keyFile: String

    var yaml: String {
        var redis = ["url: \"\(redisURL)\"", "command_timeout: 1s"]
        if let durability = plan.durability { redis.append("durability: \"\(durability)\"") }
        let head = """
            redis: { \(redis.joined(separator: ", ")) }
            sealing: { key_file: "\(keyFile)" }
            refresh: { proactive: true, interval: 5s }
            lease: { ttl: \(DurationText.format(ChaosPlan.leaseTTL)) }
            log: { level: info, format: json }
            providers:

            """
        return head + providers.map(Self.yaml).joined()
    }

    private static func yaml(_ provider: Provider) -> String {
        let name = provider.rotation.provider
        return """
              \(name):
                preset: oauth2
                token_url: "\(provider.tokenURL)"
                client_id: chaos
                client_auth: none
                rotation: \(provider.rotation.setting)
                window: 8s
                skew: 2s
                send_by: \(DurationText.format(ChaosPlan.sendBy))
                connect_timeout: 500ms
                exchange_deadline: \(DurationText.format(ChaosPlan.exchangeDeadline))
                lock_ttl: \(DurationText.format(ChaosPlan.lockTTL))
                backoff: { base: 200ms, cap: 3s }

            """
    }
}
