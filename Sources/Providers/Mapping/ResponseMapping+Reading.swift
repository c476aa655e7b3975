import ConfigurationFile

/// What a text says about where the values stand; what it does not say stays as it is.
struct ResponseFields {
    private var pointers: [String: [JSONPointer]] = [:]
    private var times: [String: [ResponseMapping.TimeSource]] = [:]

    static let pointerKeys = ["access_token", "refresh_token", "token_type", "error_code", "error_description"]
    static let spanKeys = ["expires_in", "refresh_expires_in"]
    static let timeKeys = ["expires_at", "refresh_expires_at"]

    func names(_ key: String) -> Bool { pointers[key] != nil || times[key] != nil }

    /// Reads `{ access_token: /data/token, expires_in: [{ pointer: /ttl, unit: milliseconds }, /expires_in] }`.
    init(reading section: ConfigurationSection) {
        for key in Self.pointerKeys where section.contains(key) {
            var found: [JSONPointer] = []
            if !section.isList(key) {
                if let text = section.string(key), let pointer = Self.pointer(text, section, key) { found = [pointer] }
            } else {
                section.elements(
                    key,
                    text: { text, origin in
                        if let pointer = Self.pointer(text, section, key, origin) { found.append(pointer) }
                    },
                    mapping: {
                        $0.report(.invalidValue, "has to be a JSON pointer")
                        _ = $0.keys
                    })
            }
            pointers[key] = found
        }
        for key in Self.spanKeys + Self.timeKeys where section.contains(key) {
            var found: [ResponseMapping.TimeSource] = []
            let isSpan = Self.spanKeys.contains(key)
            if section.isSection(key) {
                if let source = section.section(key, { Self.source($0, isSpan: isSpan) }) ?? nil { found = [source] }
            } else if section.isList(key) {
                section.elements(
                    key,
                    text: { text, origin in
                        if let pointer = Self.pointer(text, section, key, origin) {
                            found.append(ResponseMapping.TimeSource(pointer))
                        }
                    },
                    mapping: { if let source = Self.source($0, isSpan: isSpan) { found.append(source) } })
            } else if let text = section.string(key), let pointer = Self.pointer(text, section, key) {
                found = [ResponseMapping.TimeSource(pointer)]
            }
            times[key] = found
        }
    }

    private static func pointer(
        _ text: String, _ section: ConfigurationSection, _ key: String, _ origin: ConfigurationIssue.Origin? = nil
    ) -> JSONPointer? {
        do {
            return try JSONPointer(text)
        } catch {
            section.report(
                .invalidValue, at: origin ?? section.origin(of: key), key: "\(section.path).\(key)",
                "\(Quoted.text(text)) \(error.description)")
            return nil
        }
    }

    private static func source(_ section: ConfigurationSection, isSpan: Bool) -> ResponseMapping.TimeSource? {
        let unit = section.choice("unit", of: ResponseMapping.TimeUnit.self)
        guard let text = section.string("pointer") else {
            if !section.contains("pointer") {
                section.report(.missing, "needs pointer: write { pointer: /expires, unit: seconds }")
            }
            return nil
        }
        if isSpan, unit == .iso8601 || unit == .jwt {
            section.report(
                .contradiction, "unit", "is for a point in time: write seconds or milliseconds, or use expires_at")
            return nil
        }
        return pointer(text, section, "pointer").map { ResponseMapping.TimeSource($0, unit: unit ?? .auto) }
    }

    /// This over that of a preset, key by key.
    func over(_ base: ResponseMapping) -> ResponseMapping {
        var mapping = base
        mapping.accessToken = pointers["access_token"] ?? mapping.accessToken
        mapping.refreshToken = pointers["refresh_token"] ?? mapping.refreshToken
        mapping.tokenType = pointers["token_type"] ?? mapping.tokenType
        mapping.errorCode = pointers["error_code"] ?? mapping.errorCode
        mapping.errorDescription = pointers["error_description"] ?? mapping.errorDescription
        mapping.expiresIn = times["expires_in"] ?? mapping.expiresIn
        mapping.expiresAt = times["expires_at"] ?? mapping.expiresAt
        mapping.refreshExpiresIn = times["refresh_expires_in"] ?? mapping.refreshExpiresIn
        mapping.refreshExpiresAt = times["refresh_expires_at"] ?? mapping.refreshExpiresAt
        return mapping
    }
}
