/// Numbers as people read them.
enum NumberText {
    /// Whole numbers with a comma between thousands, others with as many places as matter.
    static func format(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        if value == value.rounded(), abs(value) < 1e15 { return grouped(Int64(value)) }
        if abs(value) >= 100 { return grouped(Int64(value.rounded())) }
        return fixed(value, places: abs(value) >= 10 ? 1 : 3)
    }

    static func fixed(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = Int64((abs(value) * scale).rounded())
        let fraction = String(scaled % Int64(scale))
        let padding = String(repeating: "0", count: max(0, places - fraction.count))
        return (value < 0 ? "-" : "") + "\(scaled / Int64(scale)).\(padding)\(fraction)"
    }

    private static func grouped(_ value: Int64) -> String {
        let digits = Array(String(value.magnitude))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { text += "," }
            text.append(digit)
        }
        return (value < 0 ? "-" : "") + text
    }
}
