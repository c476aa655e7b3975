import HTTPTypes

/// The one page that the browser sees of this program: a heading, a sentence, and nothing from elsewhere.
struct LoopbackPage: Sendable {
    let head: HTTPResponse
    let html: String

    init(_ status: HTTPResponse.Status, _ title: String, _ text: String) {
        let isGood = status == .ok
        html = Self.document(title: Self.escaped(title), text: Self.escaped(text), isGood: isGood)
        var fields: HTTPFields = [
            .contentType: "text/html; charset=utf-8", .contentLength: String(html.utf8.count),
            .cacheControl: "no-store",
            .connection: "close",
        ]
        for (name, value) in [
            // The style below is the only thing on the page that could be anything but text.
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
            ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"),
        ] {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        head = HTTPResponse(status: status, headerFields: fields)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.append(character)
            }
        }
        return result
    }

    private static func document(title: String, text: String, isGood: Bool) -> String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <meta name="color-scheme" content="light dark"><title>\(title) · Perennial</title>
        <style>
        body { margin: 0; min-height: 100vh; display: grid; place-items: center; color: #1d2b24; background: #f4f7f5;
          font: 17px/1.5 system-ui, sans-serif }
        main { max-width: 30rem; margin: 1.5rem; padding: 2rem 2.25rem; background: #fff; border: 1px solid #d9e3dd;
          border-top: 4px solid \(isGood ? "#2e7d4f" : "#b3452f"); border-radius: 8px }
        h1 { margin: 0 0 .5rem; font-size: 1.35rem; line-height: 1.3 }
        p { margin: 0; overflow-wrap: anywhere }
        footer { margin-top: 1.5rem; font-size: .85rem; color: #5b6b62 }
        @media (prefers-color-scheme: dark) {
          body { color: #e4ece7; background: #121815 }
          main { background: #1b231f; border-color: #2f3b35; border-top-color: \(isGood ? "#58b27d" : "#e07a5f") }
          footer { color: #9aaba1 }
        }
        </style></head>
        <body><main><h1>\(title)</h1><p>\(text)</p><footer>Perennial</footer></main></body></html>

        """
    }
}
