import Perennial

let perennial = try await Perennial.connect(file: "perennial.yaml")

await perennial.shutdown()
