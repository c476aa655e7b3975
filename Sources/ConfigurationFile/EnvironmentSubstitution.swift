/// Replaces `${NAME}` in values by environment variables. `${NAME:-default}` stands for the default where the variable
/// is unset or empty, `$$` for one dollar sign. A dollar sign before anything else stays, as passwords may hold one.
enum EnvironmentSubstitution {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static func apply(to text: String, environment: [String: String]) throws(Failure) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var result = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[dollar...].dropFirst()
            if rest.first == "$" {
                result += "$"
                rest = rest.dropFirst()
            } else if rest.first == "{" {
                guard let end = rest.firstIndex(of: "}") else {
                    throw Failure(description: "${ without its }: write $$ for a dollar sign")
                }
                result += try value(of: rest[..<end].dropFirst(), environment: environment)
                rest = rest[end...].dropFirst()
            } else {
                result += "$"
            }
        }
        return result + rest
    }

    private static func value(
        of expression: Substring, environment: [String: String]
    ) throws(Failure) -> String {
        let colon = expression.firstIndex(of: ":")
        let name = String(expression[..<(colon ?? expression.endIndex)])
        guard isName(name) else {
            throw Failure(description: "${…} needs the name of an environment variable: ${NAME} or ${NAME:-default}")
        }
        guard let colon else {
            guard let value = environment[name] else {
                throw Failure(
                    description: "the environment variable \(name) is not set: set it, or write ${\(name):-default}")
            }
            return value
        }
        let after = expression[colon...].dropFirst()
        guard after.first == "-" else {
            throw Failure(description: "${\(name):…} is not understood: write ${\(name):-default}")
        }
        guard let value = environment[name], !value.isEmpty else { return String(after.dropFirst()) }
        return value
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                || (0x61...0x7A).contains(byte)
        }
    }
}
