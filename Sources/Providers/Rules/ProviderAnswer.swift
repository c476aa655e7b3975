import JSONText
public import RefreshCore

/// An answer of a provider as error rules look at it: of the token endpoint, or of the API behind the gateway.
public struct ProviderAnswer: Sendable {
    public let status: Int
    public let headers: [RawTokenResponse.Header]
    /// Whole, or its beginning where it is long.
    public let body: [UInt8]
    let document: JSONValue?
    let codes: [String]

    public init(
        status: Int, headers: [RawTokenResponse.Header], body: [UInt8], mapping: ResponseMapping = .standard
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        document = TokenAnswer.document(of: body)
        codes = document.map { TokenAnswer(document: $0, mapping: mapping).errorCodes } ?? []
    }

    func values(of header: String) -> [String] {
        headers.filter { $0.name.lowercased() == header.lowercased() }.map(\.value)
    }

    /// Empty, or blanks only.
    var isEmpty: Bool { body.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) } }
}
