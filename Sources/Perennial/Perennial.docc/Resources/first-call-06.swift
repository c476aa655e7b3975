import Perennial
import ServiceLifecycle

let perennial = try await PerennialClient(file: "perennial.yaml", logger: logger)
let server = Server(perennial: perennial)

let group = ServiceGroup(
    services: [perennial, server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
try await group.run()
