import HTTPTypes
import NIOCore

/// How many calls of the API an account has, and what it is told when they are spent.
public struct DoubleQuota: Sendable, Hashable {
    public enum Scope: String, Sendable, Hashable, CaseIterable {
        /// Counted over all tokens of the account.
        case account
        /// Each access token has its own.
        case token
    }

    /// How an answer says when there will be calls again.
    public enum Notice: Sendable, Hashable {
        case none
        /// RFC 9110 §10.2.3, in seconds.
        case retryAfter
        /// The same, as a date.
        case retryAfterDate
        case header(String, Form)
        /// A member of the body, beside those that the row's answer has.
        case member(String, Form)
    }

    public enum Form: String, Sendable, Hashable, CaseIterable {
        case secondsLeft = "seconds left"
        case epochSeconds = "seconds since 1970"
        case epochMilliseconds = "milliseconds since 1970"
        case iso = "ISO 8601"
    }

    /// Calls that are served before the first refusal, 0 or more.
    public var calls: Int
    public var scope: Scope
    /// One of the row's ``DoubleConfiguration/apiFaults`` that mean ``DoubleFault/Meaning/quota``; nil: the first of them.
    public var fault: String?
    public var notice: Notice
    /// From the first refusal until there are as many calls again.
    public var refill: Duration

    public init(
        calls: Int, scope: Scope = .account, fault: String? = nil, notice: Notice = .retryAfter,
        refill: Duration = .seconds(60)
    ) {
        self.calls = calls
        self.scope = scope
        self.fault = fault
        self.notice = notice
        self.refill = refill
    }
}

/// The state of one quota.
struct DoubleMeter: Sendable {
    private var used = 0
    private var refillsAt: MockInstant?

    /// Counts a call. Nil: it is served; otherwise it is not before then.
    mutating func take(_ quota: DoubleQuota, at now: MockInstant) -> MockInstant? {
        if let refillsAt {
            guard now >= refillsAt else { return refillsAt }
            self.refillsAt = nil
            used = 0
        }
        guard used >= quota.calls else {
            used += 1
            return nil
        }
        let end = now.advanced(by: quota.refill)
        refillsAt = end
        return end
    }
}

extension DoubleQuota.Notice {
    /// Adds itself to an answer.
    func tell(_ reply: inout MockReply, end: MockInstant, at now: MockInstant) {
        switch self {
        case .none: break
        case .retryAfter: reply.headers[.retryAfter] = DoubleQuota.Form.secondsLeft.text(end, now)
        // Up to the next second: one that is given too early would be asked again in vain.
        case .retryAfterDate:
            reply.headers[.retryAfter] = CivilTime(end.advanced(by: .milliseconds(999))).http
        case .header(let name, let form):
            if let name = HTTPField.Name(name) { reply.headers[name] = form.text(end, now) }
        case .member(let name, let form):
            var body = ByteBuffer(string: "{")
            body.writeJSON(name)
            body.writeString(form == .iso ? ":\"\(form.text(end, now))\"" : ":\(form.text(end, now))")
            // The rest of the object, whose first member comes behind it.
            reply.body.moveReaderIndex(forwardBy: 1)
            body.writeStaticString(",")
            body.writeBuffer(&reply.body)
            reply.body = body
        }
    }
}

extension DoubleQuota.Form {
    fileprivate func text(_ end: MockInstant, _ now: MockInstant) -> String {
        let up = end.advanced(by: .milliseconds(999))
        return switch self {
        case .secondsLeft: String(max(0, (end.milliseconds - now.milliseconds + 999) / 1000))
        case .epochSeconds: String(up.flooredSeconds)
        case .epochMilliseconds: String(end.milliseconds)
        case .iso: CivilTime(up).iso(zone: "Z")
        }
    }
}
