import ArgumentParser
import ConfigurationFile
import MockProvider

/// What a provider does with used refresh tokens, on the command line: `single_use`, `reusable` or `grace:30s`.
struct RotationArgument: ExpressibleByArgument, Sendable, Equatable {
    var value: MockProviderConfiguration.Rotation

    init(_ value: MockProviderConfiguration.Rotation) {
        self.value = value
    }

    init?(argument: String) {
        switch argument {
        case "single_use", "single-use": value = .singleUse
        case "reusable": value = .reusable
        default:
            guard argument.hasPrefix("grace:"), let grace = DurationText.parse(String(argument.dropFirst(6))) else {
                return nil
            }
            value = .grace(grace)
        }
    }

    var defaultValueDescription: String {
        switch value {
        case .singleUse: "single_use"
        case .reusable: "reusable"
        case .grace(let grace): "grace:\(DurationText.format(grace))"
        }
    }
}
