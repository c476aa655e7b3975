import RefreshCore
import Testing

@testable import Providers

struct TemplateTests {
    private func values() -> TemplateValues {
        var values = TemplateValues(moment: WallTime(milliseconds: 1_800_000_000_123), uuid: "u-1")
        values.set("vars.key", "k3y")
        values.set("vars.braces", "{{ vars.key }}")
        values.set("client_id", "id")
        return values
    }

    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("a {{ client_id }} b", "a id b"), ("{{client_id}}{{ client_id }}", "idid"),
        ("{{ 'a' + client_id + \"b\" }}", "aidb"), ("{{ '{{' }}", "{{"), ("{{ '}}' }}", "}}"), ("a } { b", "a } { b"),
        (#"{"a":{"b":"{{ client_id }}"}}"#, #"{"a":{"b":"id"}}"#),
        ("{{ uuid }}", "u-1"), ("{{ now.seconds }}", "1800000000"), ("{{ now.milliseconds }}", "1800000000123"),
        ("{{ now.iso }}", "2027-01-15T08:00:00Z"),
        ("{{ now.format('%Y-%m-%dT%H:%M:%S+00:00') }}", "2027-01-15T08:00:00+00:00"),
        ("{{ client_id | upper }}", "ID"), ("{{ client_id + 'x' | upper | lower }}", "idx"),
        ("{{ urlencode('a b/é&=~') }}", "a%20b%2F%C3%A9%26%3D~"), ("{{ form_encode('a b') }}", "a+b"),
        ("{{ json('a\\\"\n') }}", "\"a\\\\\\\"\\u000a\""), ("{{ base64('foob') }}", "Zm9vYg=="),
        ("{{ base64url('??>') }}", "Pz8-"),
        ("{{ basic('Aladdin', 'open sesame') }}", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        // RFC 1321, FIPS 180-4 and RFC 4231 (test case 2).
        ("{{ md5('abc') }}", "900150983cd24fb0d6963f7d28e17f72"), ("{{ md5('') }}", "d41d8cd98f00b204e9800998ecf8427e"),
        ("{{ sha1('abc') }}", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("{{ sha256('abc') }}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("{{ sha256_base64('abc') }}", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        ("{{ sha256_base64url('abc') }}", "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"),
        (
            "{{ hmac_sha256('what do ya want for nothing?', 'Jefe') }}",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        ("{{ 'what do ya want for nothing?' | hmac_sha1('Jefe') }}", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            "{{ 'what do ya want for nothing?' | hmac_sha256_base64('Jefe') }}",
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        ),
    ]) func computed(source: String, expected: String) throws {
        let template = try Template(source)
        #expect(try template.render(values()) == expected)
        // What it is written as reads as the same.
        #expect(try Template(template.source).render(values()) == expected)
    }

    @Test func valuesAreNeverReadAsTemplates() throws {
        #expect(try Template("{{ vars.braces }}").render(values()) == "{{ vars.key }}")
        #expect(try Template("{{ upper(vars.braces) }}").render(values()) == "{{ VARS.KEY }}")
        #expect(try Template(literal: "{{ vars.key }}").render(values()) == "{{ vars.key }}")
    }

    @Test(arguments: [
        ("{{", "has {{ without }}"), ("a {{ client_id", "has {{ without }}"), ("{{ 'a }}", "a quote in {{ … }}"),
        ("{{ }}", "needs a name"), ("{{ a b }}", "is not understood from here on"), ("{{ a + }}", "needs a name"),
        ("{{ a | }}", "needs the name of a function after |"), ("{{ md5(a }}", "has ( without )"),
        ("{{ (a }}", "has ( without )"), ("{{ md6(a) }}", "there is no function md6: did you mean md5?"),
        ("{{ nothing_like_it(a) }}", "there is no function nothing_like_it: there are base64"),
        ("{{ md5() }}", "md5 is written md5(text), not with 0 values"),
        ("{{ a | hmac_sha256 }}", "hmac_sha256 is written hmac_sha256(text, key)"),
        ("{{ now.format('%Q') }}", "the time format has %Q"), ("{{ now.format('%') }}", "the time format ends in %"),
        ("{{ now.format(client_id) }}", "now.format needs a text in quotes"),
        ("{{ a; b }}", "is not understood"), ("{{ {a} }}", "needs a name"), ("{{ é }}", "needs a name"),
    ]) func whatIsNoTemplateSaysWhy(source: String, expected: String) {
        do {
            _ = try Template(source)
            Issue.record("taken: \(source)")
        } catch {
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test func nestingIsBounded() {
        let deep = String(repeating: "(", count: 10_000) + "a" + String(repeating: ")", count: 10_000)
        #expect(throws: TemplateSyntaxError.self) { try Template("{{ \(deep) }}") }
    }

    @Test func namesThatNameNothing() throws {
        let scope = TemplateScope(["client_id", "vars.hash_secret"], absent: ["client_secret": "has no value"])
        func problems(_ source: String) throws -> [String] { scope.problems(of: try Template(source)) }
        #expect(try problems("{{ client_id }} {{ now.iso }} {{ now.format('%s') }} {{ uuid }}") == [])
        #expect(
            try problems("{{ vars.hash_secert }}") == [
                "{{ vars.hash_secert }} names nothing: did you mean vars.hash_secret?"
            ])
        #expect(try problems("{{ md5(clientid) }}") == ["{{ clientid }} names nothing: did you mean client_id?"])
        #expect(try problems("{{ client_secret }}") == ["{{ client_secret }} has no value"])
        #expect(try problems("{{ now }}").first?.contains("write now.iso") == true)
        #expect(try problems("{{ zzz }}").first?.contains("known here: client_id, now.iso") == true)
    }

    @Test func aTemplateNeverShowsItself() throws {
        let template = try Template("s3cret {{ vars.key }}")
        #expect("\(template)" == "set")
        var dumped = ""
        dump(template, to: &dumped)
        #expect(!dumped.contains("s3cret"))
        #expect(template.maskedSource == "***{{ vars.key }}")
        #expect(throws: TemplateFailure.self) { try Template("{{ vars.none }}").render(values()) }
    }
}

struct MomentFormatTests {
    @Test(
        arguments: [
            (0, "%Y-%m-%d %H:%M:%S", "1970-01-01 00:00:00"),
            (0, "%a %A %b %B %j %y", "Thu Thursday Jan January 001 70"),
            (951_782_400_000, "%F %j %a", "2000-02-29 060 Tue"),
            (951_868_799_999, "%F %T.%L", "2000-02-29 23:59:59.999"),
            (4_107_542_400_000, "%F %j", "2100-03-01 060"), (-1, "%F %T.%L %s", "1969-12-31 23:59:59.999 -1"),
            (1_795_256_377_000, "%e %I %p %z %Z %%", "21 10 AM +0000 UTC %"), (0, "%I%p", "12AM"),
            (46_800_000, "%I%p", "01PM"), (Int64.max, "%%", "%"),
        ] as [(Int64, String, String)])
    func asStrftimeWrites(milliseconds: Int64, format: String, expected: String) {
        #expect(MomentFormat.problem(in: format) == nil)
        #expect(MomentFormat.text(WallTime(milliseconds: milliseconds), format) == expected)
    }

    @Test func everyDayOfFourCenturiesReadsBack() {
        var day: Int64 = -719_000
        while day < 200_000 {
            let moment = WallTime(milliseconds: day * 86_400_000 + 3_723_000)
            #expect(Timestamp.rfc3339(MomentFormat.text(moment, "%Y-%m-%dT%H:%M:%SZ")) == moment)
            day += 97
        }
    }
}
