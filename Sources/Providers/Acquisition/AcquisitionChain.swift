public import RefreshCore

/// How a pool gets a new account: requests one after the other, each of which may use what earlier ones have brought.
///
/// Nothing about it is built in. What the last step brings becomes the account's refresh token, or its fields.
public struct AcquisitionChain: Sendable, Hashable {
    /// One request and what is taken from its answer.
    public struct Step: Sendable, Hashable {
        public var name: String
        public var request: RequestTemplate
        /// For later steps as `steps.NAME.VALUE`; each has to be there.
        public var extracts: [Extract]

        public init(name: String, request: RequestTemplate, extracts: [Extract]) {
            self.name = name
            self.request = request
            self.extracts = extracts
        }
    }

    /// A value of a JSON answer. Of several pointers the first that names something counts.
    public struct Extract: Sendable, Hashable {
        public var name: String
        public var pointers: [JSONPointer]

        public init(name: String, pointers: [JSONPointer]) {
            self.name = name
            self.pointers = pointers
        }
    }

    /// What the account is made of.
    public enum Credential: Sendable, Hashable {
        case refreshToken(Template)
        /// For providers whose accounts have no refresh token.
        case fields([RequestField])
    }

    /// Whose accounts it makes. Its `client_id`, `client_secret` and `vars` can be used in the steps.
    public var provider: ProviderName
    /// At least one.
    public var steps: [Step]
    public var credential: Credential
    /// Of the new account; every one has to be another, so it holds `{{ uuid }}` or something that a step has brought.
    public var accountID: Template
    public var displayName: Template?
    /// For each step, connecting included. Default 20 s.
    public var stepTimeout: Duration
    /// PEM file with the authorities to trust instead of the system's.
    public var caFile: String?

    public static let longestStep = Duration.seconds(20)

    public init(
        provider: ProviderName, steps: [Step], credential: Credential, accountID: Template,
        displayName: Template? = nil, stepTimeout: Duration = longestStep, caFile: String? = nil
    ) {
        self.provider = provider
        self.steps = steps
        self.credential = credential
        self.accountID = accountID
        self.displayName = displayName
        self.stepTimeout = stepTimeout
        self.caFile = caFile
    }

    /// The longest that a run can take.
    public var longestRun: Duration { stepTimeout * steps.count }
}
