import PerennialConfiguration
import RedisClient
import RefreshCore

extension RedisSettings {
    /// The client's configuration for an external Redis.
    ///
    /// - Throws: `RedisError` for a URL that cannot be used.
    func clientConfiguration() throws -> RedisConfiguration {
        guard let url else { throw StartError("there is no Redis URL: set redis.url or REDIS_URL") }
        var redis = try RedisConfiguration(url: url.reveal())
        if let username { redis.username = username }
        if let password { redis.password = password.reveal() }
        if caFile != nil || certificateFile != nil || serverName != nil {
            guard redis.tls != nil else {
                throw StartError("redis.ca_file, certificate_file and server_name need a URL that starts with rediss")
            }
            redis.tls = RedisTLS(
                caFile: caFile, certificateFile: certificateFile, keyFile: keyFile, serverName: serverName)
        }
        return redis
    }
}
