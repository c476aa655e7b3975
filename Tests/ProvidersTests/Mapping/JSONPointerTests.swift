import JSONText
import Testing

@testable import Providers

struct JSONPointerTests {
    /// RFC 6901 §5.
    private static let document =
        #"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#

    @Test(arguments: [
        ("/foo/0", "bar"), ("/foo/1", "baz"), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"), ("/e^f", "3"), ("/g|h", "4"),
        ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8"), ("/foo/2", nil), ("/foo/-", nil), ("/foo/00", nil),
        ("/foo/01", nil), ("/foo/+1", nil), ("/foo/99999999999999999999", nil), ("/foo/bar", nil), ("/nope", nil),
        ("/foo/0/x", nil), ("/FOO/0", nil),
    ]) func examples(pointer: String, expected: String?) throws {
        let document = try JSONReader.parse(Array(Self.document.utf8))
        let read = try JSONPointer(pointer)
        #expect(read.description == pointer)
        #expect(read.value(in: document)?.scalarText == expected)
    }

    @Test(arguments: [
        ("access_token", "can never match: a JSON pointer begins with /; write /access_token"),
        ("data.token", "write /data/token"), ("$.data.token", "write /data/token"), ("", "begins with /"),
        ("/a~2", "neither ~0 nor ~1"), ("/a~", "neither ~0 nor ~1"),
    ]) func whatIsNoPointerSaysWhy(text: String, expected: String) {
        do {
            _ = try JSONPointer(text)
            Issue.record("taken: \(text)")
        } catch {
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test func ofTwoMembersTheLastCounts() throws {
        let document = try JSONReader.parse(Array(#"{"a":1,"a":2}"#.utf8))
        #expect(try JSONPointer("/a").value(in: document) == .integer(2))
    }
}

struct LenientJSONTests {
    private func parse(_ bytes: [UInt8]) throws -> JSONValue { try JSONReader.parse(bytes, .lenient, maximumDepth: 64) }

    @Test func whatIsBrokenBesideATokenDoesNotLoseIt() throws {
        #expect(try parse([0xEF, 0xBB, 0xBF] + Array(#"{"a":"b"}"#.utf8))["a"] == .string("b"))
        #expect(try parse(Array(#"{"n":"\ud800","a":"b"}"#.utf8))["n"] == .string("\u{FFFD}"))
        #expect(try parse(Array(#"{"n":"\ud800\u0041","a":"b"}"#.utf8))["n"] == .string("\u{FFFD}A"))
        #expect(try parse(Array(#"{"n":""#.utf8) + [0xFF] + Array(#"","a":"b"}"#.utf8))["a"] == .string("b"))
        #expect(try parse(Array(#"{"n":1e999,"m":-1e999,"a":"b"}"#.utf8))["m"] == .number(-.infinity))
    }

    @Test func nestingIsBounded() {
        let fits = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try parse(Array(fits.utf8)) }
        #expect(throws: JSONSyntaxError.self) { try parse(Array("[\(fits)]".utf8)) }
        #expect(throws: JSONSyntaxError.self) { try parse([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)) }
    }
}
