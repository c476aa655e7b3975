import FoundationEssentials
import HTTPTypes
import NIOCore

/// `POST /oauth2/token`: from HTTP to ``MockTokenRequest`` and from ``MockTokenAnswer`` to HTTP.
struct TokenEndpoint: Sendable {
    let expiresInAsString: Bool

    /// What a body that is no acceptable token request gets.
    enum Parsed {
        case request(MockTokenRequest)
        case refused(MockReply)
    }

    func parse(headers: HTTPFields, body: ByteBuffer) -> Parsed {
        let parameters: TokenParameters
        let contentType = headers[.contentType]
        if contentType == nil || contentType?.hasPrefix("application/x-www-form-urlencoded") == true {
            do throws(TokenParameters.Malformed) {
                parameters = try TokenParameters(form: body.readableBytesView)
            } catch {
                return .refused(.error(.badRequest, "invalid_request", error.reason))
            }
        } else if contentType?.hasPrefix("application/json") == true {
            let data = Data(body.readableBytesView)
            guard let decoded = try? JSONDecoder().decode(TokenParameters.self, from: data) else {
                return .refused(
                    .error(.badRequest, "invalid_request", "The body must be a JSON object with string parameters"))
            }
            parameters = decoded
        } else {
            return .refused(
                .error(
                    .badRequest, "invalid_request",
                    "Content-Type must be application/x-www-form-urlencoded or application/json"))
        }
        return parse(parameters, authorization: headers[.authorization])
    }

    private func parse(_ parameters: TokenParameters, authorization: String?) -> Parsed {
        var client = parameters.clientID.map { MockTokenRequest.Client(id: $0, secret: parameters.clientSecret) }
        if let authorization {
            guard let basic = BasicCredentials(authorization) else {
                return .refused(.error(.badRequest, "invalid_request", "The Authorization header is no HTTP basic"))
            }
            guard parameters.clientSecret == nil, client == nil || client?.id == basic.id else {
                return .refused(
                    .error(.badRequest, "invalid_request", "The client authenticates in more than one way"))
            }
            client = MockTokenRequest.Client(id: basic.id, secret: basic.secret)
        }
        switch parameters.grantType {
        case "refresh_token":
            guard let token = parameters.refreshToken else {
                return .refused(.error(.badRequest, "invalid_request", "refresh_token is missing"))
            }
            return .request(MockTokenRequest(.refreshToken(token), client: client))
        case "client_credentials":
            return .request(MockTokenRequest(.clientCredentials, client: client))
        case "authorization_code":
            guard let code = parameters.code else {
                return .refused(.error(.badRequest, "invalid_request", "code is missing"))
            }
            return .request(
                MockTokenRequest(
                    .authorizationCode(code, redirectURI: parameters.redirectURI, verifier: parameters.codeVerifier),
                    client: client))
        case "urn:ietf:params:oauth:grant-type:device_code":
            guard let code = parameters.deviceCode else {
                return .refused(.error(.badRequest, "invalid_request", "device_code is missing"))
            }
            return .request(MockTokenRequest(.deviceCode(code), client: client))
        case .some:
            return .refused(
                .error(
                    .badRequest, "unsupported_grant_type",
                    "grant_type must be refresh_token, client_credentials, authorization_code or device_code"))
        case .none:
            return .refused(.error(.badRequest, "invalid_request", "grant_type is missing"))
        }
    }

    func render(_ answer: MockTokenAnswer) -> MockReply {
        var reply = content(answer.content)
        reply.delivery = answer.delivery
        reply.hold = answer.hold
        return reply
    }

    private func content(_ content: MockTokenAnswer.Content) -> MockReply {
        switch content {
        case .issued(let issued):
            var body = ByteBuffer()
            body.reserveCapacity(256)
            body.writeJSON(issued, expiresInAsString: expiresInAsString)
            return .json(.ok, body)
        case .refused(let status, let error, let description):
            var reply = MockReply.error(HTTPResponse.Status(code: status), error, description)
            if status == 401 { reply.headers[.wwwAuthenticate] = "Basic realm=\"mock\"" }
            return reply
        case .failure(let status):
            return .error(HTTPResponse.Status(code: status), "server_error", "A fault was ordered")
        case .throttled(let seconds):
            var reply = MockReply.error(.tooManyRequests, "rate_limit_error", "Too many requests")
            reply.headers[.retryAfter] = String(seconds)
            return reply
        case .html:
            return MockReply(
                .ok, headers: MockReply.htmlHeaders,
                body: ByteBuffer(string: "<!DOCTYPE html><title>Sign in</title><p>We will be back soon.\n"))
        }
    }
}

/// The user and password of an `Authorization: Basic` header, both form-encoded as RFC 6749 §2.3.1 demands.
struct BasicCredentials: Equatable {
    let id: String
    let secret: String

    init?(_ header: String) {
        guard header.utf8.count > 6, header.prefix(6).lowercased() == "basic ",
            let decoded = Data(base64Encoded: String(header.dropFirst(6))),
            let colon = decoded.firstIndex(of: UInt8(ascii: ":")),
            let id = FormText.decode(decoded[..<colon]),
            let secret = FormText.decode(decoded[(colon + 1)...])
        else { return nil }
        self.id = id
        self.secret = secret
    }
}
