import ArgumentParser
import ConfigurationFile

/// A time on the command line, written as in the configuration: `500ms`, `20s`, `1m`, `1.5h`.
struct DurationArgument: ExpressibleByArgument, Sendable, Equatable {
    var value: Duration

    init(_ value: Duration) {
        self.value = value
    }

    init?(argument: String) {
        guard let value = DurationText.parse(argument) else { return nil }
        self.value = value
    }

    var defaultValueDescription: String { DurationText.format(value) }
}
