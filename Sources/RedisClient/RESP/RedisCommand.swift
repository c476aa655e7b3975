import CHiredis
import NIOCore

/// Something that can stand in a command: text, bytes, an integer.
public protocol RedisArgument: Sendable {
    /// Appends the argument as Redis is to see it.
    func append(to bytes: inout [UInt8])
}

extension String: RedisArgument {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
}

extension Substring: RedisArgument {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: utf8) }
}

extension Array: RedisArgument where Element == UInt8 {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: self) }
}

extension ArraySlice: RedisArgument where Element == UInt8 {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: self) }
}

extension Int: RedisArgument {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: String(self).utf8) }
}

extension Int64: RedisArgument {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: String(self).utf8) }
}

extension UInt64: RedisArgument {
    public func append(to bytes: inout [UInt8]) { bytes.append(contentsOf: String(self).utf8) }
}

/// One command with its arguments: `RedisCommand("SET", key, value, "PX", 5000)`.
///
/// Printing a command shows its name and the number of its arguments, never their content.
public struct RedisCommand: Sendable, Hashable, CustomStringConvertible {
    /// The command's name in capitals.
    public let name: String
    /// All arguments, the name first, in one block; `ends[i]` is where argument i ends.
    private var bytes: [UInt8]
    private var ends: [Int]

    /// hiredis 0.14 counts the encoded length in an `int`; Redis itself refuses arguments over 512 MiB.
    static let maxBytes = 512 << 20

    public init(_ name: String, _ arguments: any RedisArgument...) {
        self.init(name, arguments: arguments)
    }

    public init(_ name: String, arguments: [any RedisArgument]) {
        self.name = name.uppercased()
        bytes = Array(self.name.utf8)
        ends = [bytes.count]
        ends.reserveCapacity(arguments.count + 1)
        for argument in arguments { append(argument) }
    }

    /// Adds one argument at the end.
    public mutating func append(_ argument: some RedisArgument) {
        argument.append(to: &bytes)
        ends.append(bytes.count)
    }

    /// Arguments, the name included.
    public var argumentCount: Int { ends.count }

    /// Argument `index`; 0 is the name.
    func argument(_ index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    public var description: String { "\(name) (\(ends.count - 1) arguments)" }

    /// Appends the command in RESP, as hiredis encodes it.
    ///
    /// - Throws: ``RedisError/Code/misuse`` when the command is over 512 MiB.
    func encode(into buffer: inout ByteBuffer) throws(RedisError) {
        guard bytes.count <= Self.maxBytes, ends.count <= 1 << 20 else {
            throw RedisError(.misuse, "\(name) is too large to send: \(bytes.count) bytes, limit \(Self.maxBytes).")
        }
        var target: UnsafeMutablePointer<CChar>?
        let length = bytes.withUnsafeBytes { raw in
            var pointers: [UnsafePointer<CChar>?] = []
            var lengths: [Int] = []
            pointers.reserveCapacity(ends.count)
            lengths.reserveCapacity(ends.count)
            let base = raw.bindMemory(to: CChar.self).baseAddress
            var start = 0
            for end in ends {
                pointers.append(base.map { $0 + start })
                lengths.append(end - start)
                start = end
            }
            return chiredis_command_format(&target, Int32(ends.count), &pointers, lengths)
        }
        guard length > 0, let target else {
            throw RedisError(.misuse, "There is no memory to encode \(name).")
        }
        defer { chiredis_command_free(target) }
        buffer.writeBytes(UnsafeRawBufferPointer(start: target, count: Int(length)))
    }
}
