import Gateway
import HTTPTypes
import Logging
import RefreshCore

extension GatewayMount {
    /// Whether the key of an admitted caller is the one in `Authorization`, which then is no credential for an upstream.
    func isKeyInAuthorization(_ evidence: CallerEvidence) -> Bool {
        responder.gatekeeper.keys != nil && evidence.key == nil && evidence.authorization != nil
    }

    /// What answers carry besides, so that no browser on this machine takes one for a page of this origin, whose scripts could
    /// ask for all else that is here (Content Security Policy Level 3, §6.3.2; Fetch, `X-Content-Type-Options`).
    func shield(_ evidence: CallerEvidence) -> [HeaderField] {
        guard responder.gatekeeper.trustsPlace(evidence) else { return [] }
        return [
            (name: "Content-Security-Policy", value: "sandbox"), (name: "X-Content-Type-Options", value: "nosniff"),
        ]
    }

    /// Answers one call; never fails.
    func serve(_ call: ForwardedCall, _ evidence: CallerEvidence) async {
        do throws(Problem) {
            try responder.gatekeeper.admit(evidence, needing: .read)
            try responder.gatekeeper.admitForwarding(evidence)
        } catch {
            return refuse(call, error)
        }
        do throws(GatewayFailure) {
            try await gateway.serve(call)
            log(call, "passed on")
        } catch {
            guard let problem = Problem(error, now: responder.backend.time.wall()), !call.hasBegun else {
                log(call, "abandoned")
                return call.abort()
            }
            gateway.failed(call.request, status: problem.status, error.log)
            refuse(call, problem)
        }
    }

    func refuse(_ call: ForwardedCall, _ problem: Problem) {
        log(call, "\(problem.status)")
        call.answer(responder.render(problem, path: Self.shown(call.request.target)))
    }

    /// Never more than the route: paths of upstreams can hold what nobody should read.
    private func log(_ call: ForwardedCall, _ outcome: String) {
        responder.logger.debug(
            "request",
            metadata: [
                "method": "\(call.request.method)", "path": "\(Self.shown(call.request.target))",
                "status": "\(outcome)",
            ])
    }

    private static func shown(_ target: String) -> Substring {
        guard let target = RequestTarget(target) else { return "" }
        return "\(RequestTarget.prefix)\(target.route.prefix(64))"[...]
    }
}
