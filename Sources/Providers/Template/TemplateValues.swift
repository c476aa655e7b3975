import ConfigurationFile
import RefreshCore

/// What the names in templates stand for while one request is made. Moment and UUID are the same all over it.
struct TemplateValues: Sendable {
    let moment: WallTime
    private var values: [String: String]

    /// - Parameters:
    ///   - moment: on the fleet's clock.
    ///   - uuid: RFC 9562.
    init(moment: WallTime, uuid: String) {
        self.moment = moment
        values = [
            "uuid": uuid, "now.iso": MomentFormat.text(moment, "%Y-%m-%dT%H:%M:%SZ"),
            "now.seconds": MomentFormat.text(moment, "%s"), "now.milliseconds": String(moment.milliseconds),
        ]
    }

    mutating func set(_ name: String, _ value: String) {
        values[name] = value
    }

    func value(of name: String) throws(TemplateFailure) -> String {
        guard let value = values[name] else { throw TemplateFailure("{{ \(name) }} has no value") }
        return value
    }
}

/// The names that a template may use, to be checked before anything is sent.
public struct TemplateScope: Sendable {
    /// Those that every request has.
    static let always = ["now.iso", "now.seconds", "now.milliseconds", "uuid"]

    private let names: Set<String>
    /// Names that exist elsewhere, and why not here.
    private let absent: [String: String]

    init(_ names: some Sequence<String>, absent: [String: String] = [:]) {
        self.names = Set(names).union(Self.always)
        self.absent = absent
    }

    /// What is wrong with the names of `template`, each with what to write instead.
    func problems(of template: Template) -> [String] {
        template.names.subtracting(names).sorted().map { name in
            if let reason = absent[name] { return "{{ \(name) }} \(reason)" }
            if name == "now" {
                return "{{ now }} names nothing: write now.iso, now.seconds, now.milliseconds or now.format('%Y…')"
            }
            let candidates = names.sorted()
            let hint =
                EditDistance.nearest(to: name, among: candidates).map { "did you mean \($0)?" }
                ?? "known here: \(candidates.joined(separator: ", "))"
            return "{{ \(name) }} names nothing: \(hint)"
        }
    }
}
