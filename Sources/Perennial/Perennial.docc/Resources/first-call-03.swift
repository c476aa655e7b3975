import Perennial

let perennial = try await Perennial.connect(file: "perennial.yaml")

try await perennial.addAccount("alice", provider: "acme", refreshToken: refreshToken)

await perennial.shutdown()
