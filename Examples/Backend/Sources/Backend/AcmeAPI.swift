import Perennial

/// The API that is called, as a backend would wrap it anyway.
struct AcmeAPI: Sendable {
    let url: String

    func whoAmI(_ token: AccessToken) async throws -> String {
        let answer = try await HTTP.get("\(url)/resource", authorization: token.revealAuthorization())
        guard answer.status == 200 else { throw AcmeError(status: answer.status) }
        return answer.body
    }
}

/// What the API answers when it does not do what it is asked.
struct AcmeError: Error {
    var status: Int
}

/// The one line that Perennial needs: which of these errors are about the token.
extension AcmeError: TokenJudging {
    var tokenVerdict: TokenVerdict {
        switch status {
        case 401: .refused
        case 429: .quotaExhausted()
        default: .none
        }
    }
}
