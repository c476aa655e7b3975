import JSONText
import RefreshCore
import Testing

@testable import PerennialAPI

@Suite struct EncodingTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T23:59:59Z", 951_868_799), ("1969-12-31T23:59:59Z", -1),
            ("9999-12-31T23:59:59Z", 253_402_300_799), ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("2026-11-21T09:57:00Z", 1_795_255_020), ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] as [(String, Int64)]) func timesGoBothWays(text: String, seconds: Int64)
    {
        var bytes: [UInt8] = []
        Timestamp(WallTime(milliseconds: seconds * 1000 + 999)).append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
        #expect(Timestamp.parse(text) == WallTime(milliseconds: seconds * 1000))
    }

    @Test func offsetsAndFractionsAreRead() {
        #expect(Timestamp.parse("1970-01-01t01:30:00.1234+01:30") == WallTime(milliseconds: 123))
        #expect(Timestamp.parse("1969-12-31T19:00:00-05:00") == WallTime(milliseconds: 0))
        #expect(Timestamp(WallTime(milliseconds: .max)).seconds == 253_402_300_799)
        #expect(Timestamp(WallTime(milliseconds: .min)).seconds == -62_167_219_200)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-11-21T09:57:00", "2026-11-21 09:57:00Z", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
        "2026-11-21T24:00:00Z", "2026-11-21T09:60:00Z", "2026-11-21T09:57:00.Z", "2026-11-21T09:57:00+0100",
        "x026-11-21T09:57:00Z",
        "2026-11-21T09:57:00Zx",
    ]) func whatIsNoTimeIsRefused(text: String) {
        #expect(Timestamp.parse(text) == nil)
    }

    @Test func valuesAreRead() throws {
        let text =
            #" {"a":[1,-2.5,1e3,true,false,null],"b":{"c":"é\u00e9\ud83d\ude00\n\/"},"n":100000000000000000000} "#
        #expect(
            try JSONReader.parse(Array(text.utf8))
                == .object([
                    .init(
                        name: "a",
                        value: .array([.integer(1), .number(-2.5), .number(1000), .bool(true), .bool(false), .null])),
                    .init(name: "b", value: .object([.init(name: "c", value: .string("éé😀\n/"))])),
                    .init(name: "n", value: .number(1e20)),
                ]))
    }

    @Test(arguments: [
        "", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[1 2]", "01", "1.", "-", "1e", "+1", "tru", "nul", "\"",
        "\"\\x\"",
        "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\u{1}\"", "1 2", "1e999", "{a:1}", "'a'",
    ]) func whatIsNotJSONIsRefused(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONReader.parse(Array(text.utf8)) }
    }

    @Test func everyPrefixAndEveryFlippedByteIsSurvived() {
        let text = Array(#"{"a":[1,-2.5e1,true,null],"b":"\u00e9\ud83d\ude00é"}"#.utf8)
        for index in text.indices {
            _ = try? JSONReader.parse(Array(text[..<index]))
            for value in UInt8.min...UInt8.max {
                var changed = text
                changed[index] = value
                _ = try? JSONReader.parse(changed)
            }
        }
        #expect(throws: JSONSyntaxError.self) { try JSONReader.parse([0x22, 0xff, 0x22]) }
    }
}
