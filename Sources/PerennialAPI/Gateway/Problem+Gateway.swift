import Gateway
import RefreshCore

extension Problem {
    /// Why the gateway answers by itself; nil where nobody is left to be told, or an answer has begun.
    init?(_ failure: GatewayFailure, now: WallTime) {
        switch failure.reason {
        case .callerGone, .cut: return nil
        case .refused(let refusal, let detail):
            self.init(Self.code(refusal), detail)
            if refusal == .method {
                headers.append(
                    .init(name: "Allow", value: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
            }
        case .token(let failure, let account): self.init(failure, account: account)
        case .pool(let failure, _): self.init(failure, now: now)
        case .upstream(let failure):
            self.init(Self.code(failure.kind), failure.message)
        case .late(let detail):
            self.init(.upstreamTimeout, "no answer within the time for the whole request: \(detail)")
        }
        account = account ?? failure.account
        headers.append(.init(name: "Perennial-Attempts", value: failure.log.description))
        if let account { headers.append(.init(name: "Perennial-Account", value: account.rawValue)) }
    }

    private static func code(_ refusal: GatewayFailure.Refusal) -> Code {
        switch refusal {
        case .routeNotFound: .routeNotFound
        case .path: .pathRefused
        case .method: .methodNotAllowed
        case .upgrade: .upgradeRefused
        case .loop: .loopDetected
        case .noChoice: .choiceMissing
        case .choice: .choiceRefused
        case .body: .malformedBody
        case .slowBody: .bodyTooSlow
        case .header: .malformedRequest
        }
    }

    private static func code(_ kind: UpstreamFailure.Kind) -> Code {
        switch kind {
        case .unreachable: .upstreamUnreachable
        case .proxy: .proxyFailed
        case .timeout: .upstreamTimeout
        case .broken: .upstreamBroken
        case .invalid: .malformedRequest
        case .token: .tokenUnusable
        case .body: .malformedBody
        case .slowBody: .bodyTooSlow
        case .local: .internalError
        case .cancelled, .shutDown: .shuttingDown
        }
    }
}
