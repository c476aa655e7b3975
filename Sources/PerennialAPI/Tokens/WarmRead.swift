import Logging
import NIOCore
import NIOHTTP1
import RefreshCore

/// Answers a plain `GET /v1/accounts/{id}/token` from memory, without a suspension: the read that happens thousands of
/// times a second. Where memory has no fresh token it joins the ``SharedReads``; a request that asks for more, or may
/// not ask, takes the ordinary way, which explains why.
///
/// One per connection; keeps its buffers.
struct WarmRead {
    private static let prefix = Array("/v1/accounts/".utf8)
    private static let suffix = Array("/token".utf8)

    enum Outcome {
        /// The whole response.
        case answered(ByteBuffer)
        /// Whoever asks may have the account's token, once there is one.
        case waits(AccountID)
        /// Not a plain read, or not of somebody who may.
        case declined
    }

    private let responder: APIResponder
    private var json = JSONWriter(capacity: 1024)
    private var head: [UInt8] = []
    private var date: (seconds: Int64, text: [UInt8]) = (.min, [])
    private var response = ByteBuffer()

    init(responder: APIResponder) {
        self.responder = responder
    }

    mutating func answer(_ request: HTTPRequestHead) -> Outcome {
        guard request.method == .GET, request.version == .http1_1, let id = Self.account(in: request.uri),
            let evidence = evidence(in: request.headers),
            (try? responder.gatekeeper.admit(evidence, needing: .read)) != nil
        else { return .declined }
        guard let answer = responder.backend.reader.warm(id) else { return .waits(id) }
        let now = responder.backend.time.wall()
        json.reset()
        TokenDocument.write(answer, now: now, to: &json)
        writeHead(generation: answer.snapshot.generation, now: now)
        response.clear(minimumCapacity: head.count + json.bytes.count)
        response.writeBytes(head)
        response.writeBytes(json.bytes)
        log(request.uri, status: 200)
        return .answered(response)
    }

    /// Has the handler called with the answer, on its event loop, when there is one.
    func join(_ account: AccountID, _ handler: ConnectionHandler, on loop: any EventLoop) {
        responder.backend.sharedReads.join(account, NIOLoopBound(handler, eventLoop: loop), on: loop) { [responder] in
            await responder.sharedAnswer(account)
        }
    }

    func log(_ path: String, status: Int) {
        responder.logger.debug("request", metadata: ["method": "GET", "path": "\(path)", "status": "\(status)"])
    }

    /// The same headers in the same order as ``APIResponder`` sends.
    private mutating func writeHead(generation: Generation, now: WallTime) {
        head.removeAll(keepingCapacity: true)
        head.append(contentsOf: Self.fixedHead)
        JSONWriter.append(generation.rawValue, to: &head)
        head.append(contentsOf: Self.dateName)
        let seconds = Timestamp(now).seconds
        if date.seconds != seconds {
            date.seconds = seconds
            date.text.removeAll(keepingCapacity: true)
            Timestamp(now).appendHTTPDate(to: &date.text)
        }
        head.append(contentsOf: date.text)
        head.append(contentsOf: Self.lengthName)
        JSONWriter.append(Int64(json.bytes.count), to: &head)
        head.append(contentsOf: Self.endOfHead)
    }

    private static let fixedHead = Array(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nETag: \"".utf8)
    private static let dateName = Array("\"\r\nDate: ".utf8)
    private static let lengthName = Array("\r\nContent-Length: ".utf8)
    private static let endOfHead = Array("\r\n\r\n".utf8)

    /// The id of a plain token path: no query, no escapes.
    static func account(in uri: String) -> AccountID? {
        let utf8 = uri.utf8
        guard utf8.count > prefix.count + suffix.count, utf8.starts(with: prefix),
            utf8.suffix(suffix.count).elementsEqual(suffix),
            let id = String(utf8.dropFirst(prefix.count).dropLast(suffix.count))
        else { return nil }
        return try? AccountID(id)
    }

    /// What the headers say of the caller; nil when one of them asks for more than the warm path can do.
    private func evidence(in headers: HTTPHeaders) -> CallerEvidence? {
        var evidence = CallerEvidence(isLocalSocket: responder.isLocalSocket)
        for (name, value) in headers {
            let utf8 = name.utf8
            switch utf8.count {
            case 4 where utf8.isEqualIgnoringCase("host"):
                guard evidence.host == nil else { return nil }
                evidence.host = value[...]
            case 6 where utf8.isEqualIgnoringCase("origin"):
                guard evidence.origin == nil else { return nil }
                evidence.origin = value[...]
            case 6 where utf8.isEqualIgnoringCase("expect"): return nil
            case 13 where utf8.isEqualIgnoringCase("authorization"):
                guard evidence.authorization == nil else { return nil }
                evidence.authorization = value[...]
            case 13 where utf8.isEqualIgnoringCase("if-none-match"): return nil
            case 8 where utf8.isEqualIgnoringCase("if-match"): return nil
            case 14 where utf8.isEqualIgnoringCase("content-length"): return nil
            case 17 where utf8.isEqualIgnoringCase("transfer-encoding"): return nil
            case 15 where utf8.isEqualIgnoringCase("x-perennial-key"):
                guard evidence.key == nil else { return nil }
                evidence.key = value[...]
            case 30 where utf8.isEqualIgnoringCase("x-perennial-refused-generation"): return nil
            default: continue
            }
        }
        return evidence
    }
}
