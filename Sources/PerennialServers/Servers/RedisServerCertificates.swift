import Glibc

/// A certificate authority of its own, a server certificate for `localhost` and 127.0.0.1, and a client certificate, as
/// PEM files in one directory. Made with the openssl command.
public struct RedisServerCertificates: Sendable {
    public let caFile: String
    public let serverCertificateFile: String
    public let serverKeyFile: String
    public let clientCertificateFile: String
    public let clientKeyFile: String

    /// - Parameter directory: Exists and is private to the test.
    public init(in directory: String) throws {
        caFile = "\(directory)/ca.pem"
        serverCertificateFile = "\(directory)/server.pem"
        serverKeyFile = "\(directory)/server.key"
        clientCertificateFile = "\(directory)/client.pem"
        clientKeyFile = "\(directory)/client.key"

        let caKey = "\(directory)/ca.key"
        let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        let configuration = "\(directory)/openssl.cnf"
        try Self.write("[req]\ndistinguished_name=dn\n[dn]\n", to: configuration)
        try ChildProcess.run(
            "openssl",
            ["req", "-x509", "-config", configuration, "-days", "30", "-subj", "/CN=Test CA"] + newKey
                + ["-addext", "basicConstraints=critical,CA:TRUE", "-keyout", caKey, "-out", caFile])
        for (name, certificate, key, extensions) in [
            ("localhost", serverCertificateFile, serverKeyFile, "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            ("client", clientCertificateFile, clientKeyFile, "extendedKeyUsage=clientAuth"),
        ] {
            let request = "\(directory)/\(name).csr"
            let extensionFile = "\(directory)/\(name).ext"
            try Self.write(extensions + "\n", to: extensionFile)
            try ChildProcess.run(
                "openssl",
                ["req", "-config", configuration, "-subj", "/CN=\(name)"] + newKey + ["-keyout", key, "-out", request])
            try ChildProcess.run(
                "openssl",
                [
                    "x509", "-req", "-in", request, "-CA", caFile, "-CAkey", caKey, "-set_serial",
                    String(UInt32.random(in: 1...UInt32.max)), "-days", "30", "-extfile", extensionFile, "-out",
                    certificate,
                ])
        }
    }

    static func write(_ text: String, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw ChildProcess.SpawnError(description: "cannot write \(path)") }
        defer { close(file) }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard written > 0 else { throw ChildProcess.SpawnError(description: "cannot write \(path)") }
            bytes = bytes.dropFirst(written)
        }
    }
}
