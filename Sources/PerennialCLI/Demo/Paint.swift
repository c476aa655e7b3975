/// Colours of a terminal (ECMA-48 SGR).
enum Paint: String, Sendable {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case cyan = "36"

    static func text(_ text: String, _ paint: Paint?, _ hasColour: Bool) -> String {
        guard hasColour, let paint else { return text }
        return "\u{1B}[\(paint.rawValue)m\(text)\u{1B}[0m"
    }
}

/// A line in parts, each with a colour, that can be cut to a width without cutting a colour's code.
struct PaintedLine: Sendable, Equatable {
    private var parts: [(text: String, paint: Paint?)] = []

    static func == (one: PaintedLine, other: PaintedLine) -> Bool {
        one.parts.elementsEqual(other.parts) { $0 == $1 }
    }

    mutating func add(_ text: String, _ paint: Paint? = nil) {
        parts.append((text, paint))
    }

    /// In a column of this many characters: padded, or cut.
    mutating func add(_ text: String, width: Int, _ paint: Paint? = nil) {
        let cut = text.prefix(width)
        add(String(cut) + String(repeating: " ", count: width - cut.count), paint)
    }

    func text(width: Int, hasColour: Bool) -> String {
        var room = width
        var text = ""
        for part in parts where room > 0 {
            let cut = String(part.text.prefix(room))
            room -= cut.count
            text += Paint.text(cut, part.paint, hasColour)
        }
        return text
    }
}
