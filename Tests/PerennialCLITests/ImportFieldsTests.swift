import RefreshCore
import Testing

@testable import PerennialCLI

/// Imports of accounts that have fields instead of a refresh token.
@Suite struct ImportFieldsTests {
    private func credential(_ record: ImportRecord?) throws -> AccountCredential {
        AccountCredential(try #require(record).credentials.refreshToken)
    }

    private let expected = AccountCredential.fields(
        AccountFields(["username": Secret("al,ice"), "passWord": Secret("x")]))

    @Test func linesHaveThemAsAnObject() throws {
        let text = """
            {"id":"a","provider":"intranet","credentials":{"username":"al,ice","passWord":"x"}}
            {"id":"b","provider":"robot"}
            {"id":"c","provider":"acme","refresh_token":"r"}
            {"id":"d","provider":"acme","refresh_token":"r","credentials":{"a":"b"}}
            {"id":"e","provider":"acme","credentials":{"a b":"hunter"}}
            {"id":"f","provider":"acme","credentials":{"a":5}}
            {"id":"g","provider":"acme","refresh_token":{"a":"hunter"}}
            """
        let (records, bad) = try ImportReader.read(text, format: .jsonl)
        #expect(records.map(\.id.rawValue) == ["a", "b", "c"])
        #expect(try credential(records.first) == expected)
        #expect(try credential(records[1]) == .fields(AccountFields()))
        #expect(try credential(records[2]) == .refreshToken(Secret("r")))
        #expect(bad.map(\.line) == [4, 5, 6, 7])
        #expect(bad.first?.reason == "refresh_token and credentials exclude each other")
        #expect(!bad.map(\.reason).joined().contains("hunter"))
    }

    @Test func tablesHaveThemAsColumns() throws {
        let text = "ID,provider,credentials.username,credentials.passWord\na,intranet,\"al,ice\",x\n"
        let (records, bad) = try ImportReader.read(text, format: .csv)
        #expect(bad.isEmpty)
        #expect(try credential(records.first) == expected)
        #expect(throws: CommandFailure.self) { try ImportReader.read("id,provider\na,b\n", format: .csv) }
        #expect(throws: CommandFailure.self) {
            try ImportReader.read("id,provider,credentials.a-b\na,b,c\n", format: .csv)
        }
    }
}
