// swift-tools-version:6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let metricsTesting = Target.Dependency.product(name: "MetricsTestKit", package: "swift-metrics")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let nioConcurrency = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "perennial",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "perennial", targets: ["PerennialCLI"]),
        .library(name: "Perennial", targets: ["Perennial"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.1"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2"),
    ],
    targets: [
        // The domain: no C, and of NIO only its locks, which the thread sanitizer sees (unlike Synchronization.Mutex).
        .target(name: "RefreshCore", dependencies: [logging, metrics, nioConcurrency], swiftSettings: settings),
        .target(name: "Sealing", dependencies: ["RefreshCore", crypto], swiftSettings: settings),
        .target(
            name: "Journal", dependencies: ["RefreshCore", "Sealing", logging], swiftSettings: settings),

        .target(name: "JSONText", swiftSettings: settings),
        // The backend of swift-metrics that `/metrics` shows.
        .target(name: "PrometheusMetrics", dependencies: [metrics, nioConcurrency], swiftSettings: settings),

        // The C libraries, each imported by one target only.
        .target(name: "CHiredis", linkerSettings: [.linkedLibrary("hiredis")]),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
        .target(
            name: "RedisClient",
            dependencies: ["CHiredis", crypto, deque, lifecycle, logging, nioConcurrency, nioCore, nioPosix, nioSSL],
            swiftSettings: settings),
        .target(name: "CurlClient", dependencies: ["CCurl", nioConcurrency], swiftSettings: settings),

        // The ports on Redis and on the providers.
        .target(
            name: "RedisStore",
            dependencies: ["RedisClient", "RefreshCore", "Sealing", "Webhooks", logging, nioConcurrency],
            resources: [.embedInCode("Scripts")], swiftSettings: settings),
        .target(name: "ConfigurationFile", dependencies: [yams], swiftSettings: settings),
        .target(
            name: "Providers",
            dependencies: ["ConfigurationFile", "CurlClient", "JSONText", "RefreshCore", crypto, cryptoExtras],
            resources: [.embedInCode("Presets")], swiftSettings: settings),
        .target(
            name: "Webhooks",
            dependencies: [
                "ConfigurationFile", "CurlClient", "RefreshCore", crypto, logging, mustache, nioConcurrency,
            ], resources: [.embedInCode("Formats")], swiftSettings: settings),
        .target(
            name: "Gateway",
            dependencies: [
                "ConfigurationFile", "CurlClient", "JSONText", "Providers", "RefreshCore", logging, metrics,
                nioConcurrency, nioCore, nioPosix,
            ], swiftSettings: settings),
        .target(
            name: "PerennialConfiguration",
            dependencies: ["ConfigurationFile", "Gateway", "Providers", "RedisClient", "RefreshCore", "Webhooks"],
            swiftSettings: settings),

        // The faces.
        .target(
            name: "PerennialAPI",
            dependencies: [
                "Gateway", "JSONText", "RefreshCore", crypto, httpTypes, hummingbirdCore, lifecycle, logging,
                nioConcurrency, nioCore, nioHTTP, nioHTTPTypes, nioPosix,
            ], swiftSettings: settings),
        .target(
            name: "Perennial",
            dependencies: [
                "ConfigurationFile", "CurlClient", "Gateway", "Journal", "PerennialConfiguration", "Providers",
                "RedisClient", "RedisStore", "RefreshCore", "Sealing", "Webhooks", lifecycle, logging, metrics,
                nioConcurrency, subprocess,
            ], swiftSettings: settings),
        .target(
            name: "MockProvider",
            dependencies: [
                crypto, cryptoExtras, httpTypes, hummingbird, hummingbirdCore, lifecycle, logging, nioConcurrency,
                nioCore, nioPosix,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "PerennialCLI",
            dependencies: [
                "ConfigurationFile", "CurlClient", "Journal", "JSONText", "MockProvider", "Perennial", "PerennialAPI",
                "PerennialConfiguration", "PrometheusMetrics", "Providers", "RedisClient", "RedisStore", "RefreshCore",
                "Sealing", "Webhooks", argumentParser, httpTypes, hummingbirdCore, lifecycle, logging, metrics,
                nioConcurrency, nioCore, nioPosix, unixSignals,
            ], swiftSettings: settings),

        // The example as others would write it, with nothing but the library's public face. `Examples/Backend/Package.swift`
        // is the same as a package of its own; building it here shares everything that is built anyway.
        .executableTarget(
            name: "ExampleBackend",
            dependencies: ["Perennial", lifecycle, logging, nioCore, nioHTTP, nioPosix, unixSignals],
            path: "Examples/Backend/Sources/Backend", packageAccess: false, swiftSettings: settings),

        // For tests and benchmarks.
        // The models and the simulator on the domain alone, so that they build in a minute.
        .target(
            name: "PerennialTesting", dependencies: ["RefreshCore", logging, nioConcurrency], swiftSettings: settings),
        .target(
            name: "PerennialServers",
            dependencies: ["CurlClient", "MockProvider", nioConcurrency, nioCore, nioPosix], swiftSettings: settings),
        .executableTarget(
            name: "PerennialSimulator", dependencies: ["PerennialTesting", argumentParser], path: "Tests/Simulator",
            swiftSettings: settings),
        .testTarget(
            name: "RefreshCoreTests", dependencies: ["RefreshCore", "PerennialTesting", logging, nioConcurrency],
            swiftSettings: settings),
        .testTarget(
            name: "RedisClientTests",
            dependencies: [
                "PerennialServers", "RedisClient", "RefreshCore", lifecycle, logging, nioConcurrency, nioCore, nioPosix,
            ], swiftSettings: settings),
        .testTarget(
            name: "SealingTests", dependencies: ["RefreshCore", "Sealing", crypto], swiftSettings: settings),
        .testTarget(
            name: "JournalTests", dependencies: ["Journal", "RefreshCore", "Sealing", logging],
            swiftSettings: settings),
        .testTarget(
            name: "RedisStoreTests",
            dependencies: [
                "PerennialServers", "PerennialTesting", "RedisClient", "RedisStore", "RefreshCore", "Sealing",
                "Webhooks", crypto, logging, nioConcurrency, nioCore, nioPosix,
            ], swiftSettings: settings),
        .executableTarget(
            name: "PerennialBench",
            dependencies: [
                "ConfigurationFile", "CurlClient", "MockProvider", "PerennialServers", "PerennialTesting",
                "RedisClient", "RedisStore", "RefreshCore", "Sealing", argumentParser, logging, nioConcurrency, nioCore,
                nioPosix,
            ], path: "Benchmarks/PerennialBench", swiftSettings: settings),
        .testTarget(
            name: "PerennialBenchTests", dependencies: ["PerennialBench", "PerennialServers", nioConcurrency, nioCore],
            swiftSettings: settings),
        .executableTarget(
            name: "PerennialChaos",
            dependencies: [
                "ConfigurationFile", "CurlClient", "Journal", "MockProvider", "PerennialServers", "RedisStore",
                "RefreshCore", "Sealing", argumentParser, logging, nioConcurrency, nioCore,
            ], path: "Tests/Chaos", swiftSettings: settings),
        .executableTarget(
            name: "PerennialConformance",
            dependencies: [
                "CurlClient", "MockProvider", "PerennialServers", "Sealing", argumentParser, crypto, cryptoExtras,
                lifecycle, logging,
            ], path: "Tests/Conformance", swiftSettings: settings),
        .testTarget(
            name: "PerennialCLITests",
            dependencies: [
                "Journal", "MockProvider", "Perennial", "PerennialAPI", "PerennialCLI", "PerennialConfiguration",
                "Providers", "RefreshCore", "Sealing", argumentParser, logging,
            ], swiftSettings: settings),
        .testTarget(
            name: "PerennialTests",
            dependencies: [
                "CurlClient", "MockProvider", "Perennial", "PerennialConfiguration", "Providers", "RefreshCore",
                lifecycle, logging, nioConcurrency,
            ], swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "CurlClient", "Journal", "MockProvider", "Perennial", "PerennialConfiguration", "PerennialServers",
                "Providers", "RedisClient", "RedisStore", "RefreshCore", "Sealing", lifecycle, logging, nioConcurrency,
                nioCore, nioPosix,
            ],
            exclude: [
                "Peers/gateway_fixtures.py", "Peers/httpbin_server.py", "Peers/mcp_client.py",
                "Peers/oauth_toolkit_server.py",
                "Peers/openai_calls.py", "Peers/openai_server.py", "Peers/read_metrics.py", "Peers/requirements.txt",
                "Peers/webhook_receiver.py",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "ConfigurationFile", "CurlClient", "Gateway", "JSONText", "Providers", "RefreshCore", logging,
                metricsTesting, nioConcurrency,
            ], swiftSettings: settings),
        .testTarget(
            name: "PrometheusMetricsTests", dependencies: ["PrometheusMetrics", metrics], swiftSettings: settings),
        .testTarget(name: "CurlClientTests", dependencies: ["CurlClient", nioConcurrency], swiftSettings: settings),
        .testTarget(
            name: "MockProviderTests",
            dependencies: ["MockProvider", crypto, cryptoExtras, nioCore, nioPosix, logging, lifecycle],
            swiftSettings: settings),
        .testTarget(
            name: "ProvidersTests",
            dependencies: [
                "ConfigurationFile", "CurlClient", "JSONText", "MockProvider", "Providers", "RefreshCore", crypto,
                cryptoExtras, nioConcurrency, subprocess,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WebhooksTests",
            dependencies: [
                "ConfigurationFile", "CurlClient", "PerennialTesting", "RefreshCore", "Webhooks", crypto, logging,
                nioConcurrency,
            ], swiftSettings: settings),
        .testTarget(
            name: "PerennialConfigurationTests",
            dependencies: ["ConfigurationFile", "PerennialConfiguration", "Providers", "RefreshCore", "Webhooks"],
            swiftSettings: settings),
        .testTarget(
            name: "PerennialAPITests",
            dependencies: [
                "Gateway", "JSONText", "PerennialAPI", "PerennialTesting", "Providers", "RefreshCore", httpTypes,
                lifecycle, logging, metrics, metricsTesting, nioConcurrency, nioCore, nioPosix,
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

// What the thread sanitizer can look at runs inside one process; the rest need not be built for it (`deploy/test`).
if Context.environment["PERENNIAL_IN_PROCESS_ONLY"] != nil {
    let others: Set = [
        "ExampleBackend", "IntegrationTests", "PerennialBench", "PerennialBenchTests", "PerennialChaos", "PerennialCLI",
        "PerennialCLITests", "PerennialConformance", "PerennialSimulator",
    ]
    package.targets.removeAll { others.contains($0.name) }
    package.products.removeAll { $0.name == "perennial" }
}
