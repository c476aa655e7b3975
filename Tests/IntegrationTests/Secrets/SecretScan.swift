/// Looks for many secrets at once: for any stretch of one, in any form.
struct SecretScan: Sendable {
    /// Half of the shortest secret: a mask that leaves so much gives it away.
    static let stretch = 12

    private struct Stretch: Hashable {
        var high: UInt32 = 0
        var low: UInt64 = 0

        mutating func move(to byte: UInt8) {
            high = high << 8 | UInt32(truncatingIfNeeded: low >> 56)
            low = low << 8 | UInt64(byte)
        }
    }

    private var names: [Stretch: String] = [:]
    /// Whether the last two bytes of any stretch are these: a look at it is much cheaper than one into `names`.
    private var ends = [Bool](repeating: false, count: 1 << 16)

    init(_ secrets: [PlantedSecret]) {
        for secret in secrets {
            for form in secret.forms {
                var stretch = Stretch()
                for (index, byte) in form.enumerated() {
                    stretch.move(to: byte)
                    guard index + 1 >= Self.stretch else { continue }
                    names[stretch] = secret.name
                    ends[Int(stretch.low & 0xFFFF)] = true
                }
            }
        }
    }

    /// The names of the secrets that something is there of, each with what stands around it.
    func findings(in bytes: [UInt8]) -> [(name: String, excerpt: String)] {
        var found: [String: Int] = [:]
        bytes.withUnsafeBufferPointer { bytes in
            ends.withUnsafeBufferPointer { ends in
                var stretch = Stretch()
                for index in 0..<bytes.count {
                    stretch.move(to: bytes[index])
                    guard ends[Int(stretch.low & 0xFFFF)], index + 1 >= Self.stretch, let name = names[stretch],
                        found[name] == nil
                    else { continue }
                    found[name] = index
                }
            }
        }
        return found.sorted { $0.key < $1.key }.map { name, index in
            let start = max(0, index - 300)
            let end = min(bytes.count, index + 100)
            return (name, String(decoding: bytes[start..<end], as: UTF8.self))
        }
    }
}
