/// Text as it stands in the configuration.
enum YAMLText {
    /// In double quotes, with nothing taken from the environment.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "$": result += "$$"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
