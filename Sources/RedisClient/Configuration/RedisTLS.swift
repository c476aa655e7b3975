import NIOSSL

/// TLS to the server. Certificates are always verified in full; there is no switch to turn that off.
public struct RedisTLS: Sendable, Hashable {
    /// A PEM file with the authorities to trust. Nil: the system's.
    public var caFile: String?
    /// A PEM file with the client certificate and its chain; together with ``keyFile``.
    public var certificateFile: String?
    /// A PEM file with the private key of ``certificateFile``.
    public var keyFile: String?
    /// The name to ask for (SNI) and to verify. Nil: the host of the address.
    public var serverName: String?

    public init(
        caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, serverName: String? = nil
    ) {
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.serverName = serverName
    }
}

extension RedisTLS {
    /// Reads the files anew at each connection, so that renewed certificates are taken up.
    ///
    /// - Throws: ``RedisError/Code/configuration``, naming the file to check.
    func makeContext() throws(RedisError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .fullVerification
        if let caFile {
            configuration.trustRoots = .certificates(try Self.certificates(in: caFile, what: "CA file"))
        }
        switch (certificateFile, keyFile) {
        case (nil, nil):
            break
        case (let certificateFile?, let keyFile?):
            configuration.certificateChain = try Self.certificates(in: certificateFile, what: "client certificate")
                .map { .certificate($0) }
            do {
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem))
            } catch {
                throw RedisError(
                    .configuration, "The Redis TLS client key \(keyFile) cannot be read as PEM.", underlying: error)
            }
        case (.some, nil), (nil, .some):
            throw RedisError(.configuration, "Redis TLS needs a client certificate and its key together, or neither.")
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw RedisError(
                .configuration,
                "The Redis TLS settings cannot be used; check that certificate and key belong together.",
                underlying: error)
        }
    }

    private static func certificates(in file: String, what: String) throws(RedisError) -> [NIOSSLCertificate] {
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(file)
            guard certificates.isEmpty else { return certificates }
        } catch {
            throw RedisError(
                .configuration, "The Redis TLS \(what) \(file) cannot be read as PEM.", underlying: error)
        }
        throw RedisError(.configuration, "The Redis TLS \(what) \(file) holds no certificate.")
    }
}
