/// The presets as people read and copy them.
public enum PresetLibrary {
    public static let names = Preset.names

    /// What the configuration has to give, each with how.
    public struct Requirement: Sendable, Hashable, Encodable {
        /// Keys joined by dots.
        public var key: String
        public var advice: String
    }

    /// The YAML as it ships; nil where there is no such preset.
    public static func text(_ name: String) -> String? {
        Preset.bytes(name).map { String(decoding: $0, as: UTF8.self) }
    }

    public static func requirements(_ name: String) -> [Requirement] {
        ((try? Preset.load(name))?.requires ?? []).map { Requirement(key: $0.key, advice: $0.advice) }
    }
}
