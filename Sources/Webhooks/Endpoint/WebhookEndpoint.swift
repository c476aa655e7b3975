import Crypto
import RefreshCore

/// Where events are sent to, and how.
public struct WebhookEndpoint: Sendable, Hashable {
    public struct Header: Sendable, Hashable {
        public var name: String
        /// May be a credential.
        public var value: Secret

        public init(name: String, value: Secret) {
            self.name = name
            self.value = value
        }
    }

    /// The pause between two tries: full jitter over a range that doubles from `base` to `cap`.
    public struct Backoff: Sendable, Hashable {
        public var base: Duration
        public var cap: Duration

        public init(base: Duration = .seconds(5), cap: Duration = .seconds(1800)) {
            self.base = base
            self.cap = cap
        }

        /// After `tries` failed tries, at least one.
        public func pause(after tries: Int, using generator: inout some RandomNumberGenerator) -> Duration {
            let exponent = min(max(tries - 1, 0), 30)
            let top = min(cap, base * (1 << exponent)).wholeMilliseconds
            // A floor of a tenth of the base: full jitter alone may try again at once.
            let floor = max(1, base.wholeMilliseconds / 10)
            return .milliseconds(Int64.random(in: floor...max(top, floor), using: &generator))
        }
    }

    /// 1 to 64 letters, digits and `. _ -`.
    public var name: String
    /// A secret as a whole: chat services put their tokens into the path.
    public var url: Secret
    /// Each makes one signature; several while the receiver changes from one to the other.
    public var secrets: [SigningSecret]
    public var selection: EventSelection
    public var headers: [Header]
    public var body: BodyTemplate
    /// Of a Feishu or DingTalk bot that wants signed requests.
    public var botSecret: Secret?
    /// Of a Telegram chat.
    public var chatID: String?
    /// Of one try.
    public var timeout: Duration
    /// How old an event may get before a failed try is its last one.
    public var maxAge: Duration
    public var backoff: Backoff
    /// PEM file with the authorities to trust instead of the system's.
    public var caFile: String?

    public init(
        name: String, url: Secret, secrets: [SigningSecret] = [], selection: EventSelection = EventSelection(),
        headers: [Header] = [], body: BodyTemplate = .standard, botSecret: Secret? = nil, chatID: String? = nil,
        timeout: Duration = .seconds(10), maxAge: Duration = .seconds(86_400), backoff: Backoff = Backoff(),
        caFile: String? = nil
    ) {
        self.name = name
        self.url = url
        self.secrets = secrets
        self.selection = selection
        self.headers = headers
        self.body = body
        self.botSecret = botSecret
        self.chatID = chatID
        self.timeout = timeout
        self.maxAge = maxAge
        self.backoff = backoff
        self.caFile = caFile
    }

    /// Scheme and host of the URL.
    public var maskedURL: String { WebhookURL.masked(url.reveal()) }

    /// Tells whether the endpoint was configured anew; nothing can be read from it.
    public var fingerprint: String {
        let parts = [url.reveal(), body.text] + secrets.map(\.text) + headers.flatMap { [$0.name, $0.value.reveal()] }
        let text = parts.map { "\($0.utf8.count):\($0)" }.joined()
        return SHA256.hash(data: Array(text.utf8)).prefix(8).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

/// The endpoints of a configuration, in its order.
public struct WebhookCatalog: Sendable, Hashable {
    public var endpoints: [WebhookEndpoint]

    public init(_ endpoints: [WebhookEndpoint] = []) {
        self.endpoints = endpoints
    }

    public var isEmpty: Bool { endpoints.isEmpty }
    public subscript(name: String) -> WebhookEndpoint? { endpoints.first { $0.name == name } }
}
