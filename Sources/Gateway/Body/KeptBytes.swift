import NIOConcurrencyHelpers

/// The beginning of a body, or all of it, in the order memory, file, tail.
struct KeptBytes: Sendable {
    var memory: [UInt8] = []
    private(set) var file: SpillFile?
    private(set) var fileLength: Int64 = 0
    /// The piece that no room was found for on the disk.
    var tail: [UInt8] = []

    var length: Int64 { Int64(memory.count) + fileLength + Int64(tail.count) }

    mutating func write(_ piece: [UInt8], in space: SpillSpace) async throws {
        let file: SpillFile
        if let known = self.file {
            file = known
        } else {
            file = try await SpillFile.make(in: space)
        }
        try await file.write(piece, at: fileLength)
        self.file = file
        fileLength += Int64(piece.count)
    }

    /// Gives them piece by piece, once, and lets go of each part behind it.
    final class Reading: Sendable {
        private enum Step {
            case piece([UInt8])
            case file(SpillFile, at: Int64, count: Int)
            case end
        }

        private static let piece: Int64 = 64 * 1024

        private struct State {
            var left: KeptBytes
            var offset: Int64 = 0
        }

        private let state: NIOLockedValueBox<State>

        init(_ kept: KeptBytes) {
            state = NIOLockedValueBox(State(left: kept))
        }

        /// Nil at the end.
        ///
        /// - Throws: ``UpstreamFailure`` where it cannot be read back.
        func next() async throws(UpstreamFailure) -> [UInt8]? {
            switch step() {
            case .piece(let bytes): return bytes
            case .end: return nil
            case .file(let file, let offset, let count):
                do {
                    let bytes = try await file.read(at: offset, count: count)
                    if bytes.count == count { return bytes }
                } catch {
                    throw UpstreamFailure(.local, isUnsent: false, "\(error)")
                }
                throw UpstreamFailure(.local, isUnsent: false, "the request's body cannot be read back: it is cut")
            }
        }

        private func step() -> Step {
            state.withLockedValue { state in
                if !state.left.memory.isEmpty {
                    defer { state.left.memory = [] }
                    return .piece(state.left.memory)
                }
                if let file = state.left.file, state.offset < state.left.fileLength {
                    let offset = state.offset
                    let count = min(Self.piece, state.left.fileLength - offset)
                    state.offset += count
                    return .file(file, at: offset, count: Int(count))
                }
                state.left.file = nil
                guard !state.left.tail.isEmpty else { return .end }
                defer { state.left.tail = [] }
                return .piece(state.left.tail)
            }
        }
    }
}
