/// The streams that something has happened to in this round of libcurl. Belongs to the loop's thread.
final class NewsDesk {
    private var streams: [StreamTransfer] = []

    func add(_ stream: StreamTransfer) {
        guard !stream.isListed else { return }
        stream.isListed = true
        streams.append(stream)
    }

    func take() -> [StreamTransfer] {
        guard !streams.isEmpty else { return [] }
        for stream in streams { stream.isListed = false }
        defer { streams.removeAll() }
        return streams
    }
}
