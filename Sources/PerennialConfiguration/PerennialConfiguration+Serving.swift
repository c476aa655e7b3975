public import ConfigurationFile

extension PerennialConfiguration {
    /// The two refusals to start: serving tokens to the network without callers' keys, and handing secrets to a Redis
    /// that is not Perennial's own without a sealing key that outlives this machine.
    ///
    /// - Parameter hasKeys: whether at least one caller's key was found in ``authKeysFile``.
    /// - Throws: ``ConfigurationError`` with one issue for each reason.
    public func validateForServing(hasKeys: Bool) throws(ConfigurationError) {
        let issues = ConfigurationIssues()
        func refuse(_ key: String, _ message: String) {
            issues.report(ConfigurationIssue(.unsafeToServe, at: .none, key: key, message))
        }
        for address in listen where !address.isLocal {
            if authKeysFile == nil {
                refuse(
                    "listen",
                    "\(address) can be reached from other machines, and no callers' keys are configured: set "
                        + "auth.keys_file (make a key with `perennial keys create`), or listen on 127.0.0.1 or unix:PATH"
                )
            } else if !hasKeys {
                refuse(
                    "auth.keys_file",
                    "holds no keys, and \(address) can be reached from other machines: make a key with "
                        + "`perennial keys create`, or listen on 127.0.0.1 or unix:PATH")
            }
        }
        if !redis.isEmbedded, sealing == nil {
            refuse(
                "sealing.key_file",
                "is missing: an external Redis only gets sealed secrets, and all instances need the same key; set "
                    + "sealing.key_file or PERENNIAL_SEALING_KEY (make one with `openssl rand -base64 32`)")
        }
        try issues.throwIfAny()
    }
}
