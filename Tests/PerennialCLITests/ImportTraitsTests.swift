import RefreshCore
import Testing

@testable import PerennialCLI

/// Pool, tier, labels and proxy in import files and on the command line.
@Suite struct ImportTraitsTests {
    private func record(_ line: String) throws -> ImportRecord? {
        let (records, bad) = try ImportReader.read(line, format: .jsonl)
        #expect(bad.isEmpty, "\(bad)")
        return records.first
    }

    @Test func linesOfJSONHaveThem() throws {
        let record = try #require(
            try record(
                #"{"id":"a","provider":"p","refresh_token":"r","pool":"shared","tier":"t","labels":{"team":"x","n":"a;b"},"#
                    + #""proxy":"socks5h://ann:pa%3Ass@h:1080"}"#))
        #expect(record.traits.pool == .set(try PoolName("shared")))
        #expect(record.traits.tier == .set(try TierName("t")))
        #expect(record.traits.labels == .replace(try AccountLabels(["team": "x", "n": "a;b"])))
        guard case .set(let proxy) = record.traits.proxy else {
            Issue.record("no proxy")
            return
        }
        #expect(proxy.url == "socks5h://h:1080" && proxy.server?.password?.reveal() == "pa:ss")
    }

    @Test func tablesHaveThem() throws {
        let (records, bad) = try ImportReader.read(
            """
            id,provider,refresh_token,pool,labels,proxy
            a,p,r,shared,"team=x; env = y",direct
            b,p,r,,,
            """, format: .csv)
        #expect(bad.isEmpty && records.count == 2)
        #expect(records[0].traits.labels == .replace(try AccountLabels(["team": "x", "env": "y"])))
        #expect(records[0].traits.proxy == .set(.direct))
        #expect(records[1].traits.isEmpty)
    }

    @Test(arguments: [
        (#""pool":"a b""#, "bad pool name"), (#""tier":"a/b""#, "bad tier name"), (#""labels":"team""#, "key=value"),
        (#""labels":{"a b":"x"}"#, "bad label"), (#""proxy":"s3cret""#, "proxy is no URL"),
        (#""pool":{"x":"y"}"#, "pool has to be a text"), (#""proxy":"http://h""#, "needs a port"),
    ]) func badOnesAreNamed(field: String, words: String) throws {
        let (records, bad) = try ImportReader.read(
            #"{"id":"a","provider":"p","refresh_token":"r",\#(field)}"#, format: .jsonl)
        #expect(records.isEmpty && bad.first?.reason.contains(words) == true, "\(bad)")
        #expect(bad.first?.reason.contains("s3cret") == false)
    }

    @Test func credentialsHaveNoPlaceOnTheCommandLine() throws {
        #expect(throws: (any Error).self) { try ProxyArguments.read("http://ann:pw@h:1", file: nil) }
        #expect(throws: (any Error).self) { try ProxyArguments.read("direct", file: "-") }
        #expect(try ProxyArguments.read("direct", file: nil) == .direct)
        #expect(try ProxyArguments.read(nil, file: nil) == nil)
        #expect(try LabelArguments.merge(setting: ["a=b"], removing: ["c"]) == .merge(["a": "b", "c": nil]))
        for bad in ["a", "=b", "a=", "a b=c"] {
            #expect(throws: (any Error).self) { try LabelArguments.merge(setting: [bad], removing: []) }
        }
    }
}
