extension BodyTemplate {
    /// A body that was made from it, as a person may see it: what stands in a template of the operator's and looks like a
    /// key is `***`.
    public func masked(_ body: String) -> String {
        guard format == nil else { return body }
        let keys = Set(text.split { !Self.isInKeys($0) }.map(String.init)).filter(Self.looksLikeKey)
        // A key that is a part of another one comes after it.
        return keys.sorted { $0.utf8.count > $1.utf8.count }.reduce(body) { $0.replacing($1, with: "***") }
    }

    private static func isInKeys(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "-_+/=.~".contains(character))
    }

    /// Long, and with digits among letters or capital letters among small ones, unlike the words of a message.
    private static func looksLikeKey(_ text: String) -> Bool {
        guard text.utf8.count >= 12 else { return false }
        let hasCapitals = text.contains(where: \.isUppercase) && text.contains(where: \.isLowercase)
        return hasCapitals || (text.contains(where: \.isNumber) && text.contains(where: \.isLetter))
    }
}
