import HTTPTypes
import NIOCore

/// An answer that a provider is known to give when it does not serve a request.
public struct DoubleFault: Sendable {
    /// What it says about the account, by the provider's own account of it.
    public enum Meaning: String, Sendable, Hashable, CaseIterable {
        /// Only a new log-in helps.
        case final
        /// Passes by itself.
        case transient
        /// The client or the address is wrong, not the account.
        case misconfigured
        /// Answers of the API only: the access token is dead, a refresh helps.
        case refresh
        /// Answers of the API only: come back later, or with another account.
        case quota
    }

    public let name: String
    public let meaning: Meaning
    let reply: MockReply

    init(_ meaning: Meaning, _ name: String, _ reply: MockReply) {
        self.name = name
        self.meaning = meaning
        self.reply = reply
    }

    /// The answer itself, as it goes over the wire.
    public var status: Int { reply.status.code }
    public var headers: [(name: String, value: String)] { reply.headers.map { ($0.name.rawName, $0.value) } }
    public var body: [UInt8] { Array(reply.body.readableBytesView) }
}

extension DoubleConfiguration {
    /// Every error that the token endpoint of this provider is known to give to a proper request.
    public var faults: [DoubleFault] { row.behaviour(self).faults }

    /// Every error that its API is known to give to a call with a good token.
    public var apiFaults: [DoubleFault] { row.behaviour(self).apiFaults }
}
