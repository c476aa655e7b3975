import Gateway
import NIOHTTP1
import RefreshCore

/// Looks over the head of a request to the gateway. What another server could read differently is refused and not passed
/// on (RFC 9112 §11.2); NIO's parser has refused the worse already.
struct RequestHeadCheck {
    var evidence: CallerEvidence
    var body: GatewayRequest.Body
    var expectsContinue = false
    var headers: [HeaderField]

    init(_ head: HTTPRequestHead, isLocalSocket: Bool) throws(Problem) {
        evidence = CallerEvidence(isLocalSocket: isLocalSocket)
        headers = []
        headers.reserveCapacity(head.headers.count)
        var length: String?
        var coding: String?
        for (name, value) in head.headers {
            let utf8 = name.utf8
            switch utf8.count {
            case 4 where utf8.isEqualIgnoringCase("host"):
                guard evidence.host == nil else { throw Self.malformed("the request has two Host headers") }
                evidence.host = value[...]
            case 6 where utf8.isEqualIgnoringCase("origin"): evidence.origin = value[...]
            case 14 where utf8.isEqualIgnoringCase("sec-fetch-site"): evidence.fetchSite = value[...]
            case 14 where utf8.isEqualIgnoringCase("sec-fetch-mode"): evidence.fetchMode = value[...]
            case 6 where utf8.isEqualIgnoringCase("expect"):
                guard value.utf8.isEqualIgnoringCase("100-continue") else {
                    throw Problem(.expectationFailed, "of expectations only 100-continue is known")
                }
                expectsContinue = true
            case 13 where utf8.isEqualIgnoringCase("authorization"):
                guard evidence.authorization == nil else {
                    throw Self.malformed("the request has two Authorization headers")
                }
                evidence.authorization = value[...]
            case 15 where utf8.isEqualIgnoringCase("x-perennial-key"):
                guard evidence.key == nil else { throw Self.malformed("the request has two X-Perennial-Key headers") }
                evidence.key = value[...]
            case 14 where utf8.isEqualIgnoringCase("content-length"):
                guard length == nil else { throw Self.malformed("the request has two lengths") }
                length = value
            case 17 where utf8.isEqualIgnoringCase("transfer-encoding"):
                guard coding == nil else { throw Self.malformed("the request has two Transfer-Encoding headers") }
                coding = value
            default: break
            }
            headers.append((name: name, value: value))
        }
        // RFC 9112 §3.2.
        guard evidence.host != nil || head.version.isHTTP10 else {
            throw Self.malformed("the request has no Host header")
        }
        body = .none
        if let coding {
            guard length == nil else {
                throw Self.malformed("the request has both a length and a transfer coding")
            }
            guard !head.version.isHTTP10 else {
                throw Self.malformed("HTTP/1.0 has no transfer codings")
            }
            guard coding.utf8.isEqualIgnoringCase("chunked") else {
                throw Problem(.notImplemented, "of transfer codings only chunked is known")
            }
            body = .unknown
        } else if let length {
            guard let number = Int64(length), number >= 0, length.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw Self.malformed("the request's length is no number")
            }
            body = .length(number)
        }
    }

    private static func malformed(_ detail: String) -> Problem {
        var problem = Problem(.malformedRequest, detail)
        problem.headers = [.init(name: "Connection", value: "close")]
        return problem
    }
}
