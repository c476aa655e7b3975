import RefreshCore

/// A run that is arranged by hand: one of the cases that recovery has to pass.
public struct DirectedScenario: Sendable {
    public struct Result: Sendable {
        public var failure: (seed: UInt64, violation: Violation)?
        public var note: String
        public var trace: [String] = []
    }

    public let name: String
    public let summary: String
    let body: @Sendable (Bool, PlantedMutation?) -> Result

    public func run(keepsTrace: Bool = false, mutation: PlantedMutation? = nil) -> Result { body(keepsTrace, mutation) }

    public static let all: [DirectedScenario] = []
}
