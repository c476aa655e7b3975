public import RefreshCore

extension ProviderCatalog {
    /// Classes an answer by the rules of the provider that gave it; nil where the configuration does not know it.
    public func interpret(_ response: RawTokenResponse, provider: ProviderName) -> ExchangeOutcome? {
        self[provider].map { AnswerInterpreter(definition: $0).outcome(of: response) }
    }
}
