import HTTPTypes
import NIOCore

/// The pages that a person sees.
enum Page {
    static func html(_ status: HTTPResponse.Status, _ content: String) -> MockReply {
        MockReply(
            status, headers: MockReply.htmlHeaders,
            body: ByteBuffer(string: "<!DOCTYPE html><meta charset=utf-8><title>Mock provider</title>\(content)\n"))
    }

    static func error(_ text: String) -> MockReply { html(.badRequest, "<h1>Sorry</h1><p>\(text)</p>") }

    static func consent(request: String, client: String, scope: String, account: String) -> MockReply {
        html(
            .ok,
            """
            <h1>Sign in</h1><p>\(escaped(client)) asks for: \(escaped(scope))</p>
            <form method=post action=/authorize/decision><input type=hidden name=request value="\(escaped(request))">
            <label>Account <input name=account value="\(escaped(account))"></label>
            <button name=decision value=allow>Allow</button> <button name=decision value=deny>Deny</button></form>
            """)
    }

    static func code(_ code: String) -> MockReply {
        html(.ok, "<h1>Your code</h1><pre id=code>\(escaped(code))</pre>")
    }

    static func device(userCode: String) -> MockReply {
        html(
            .ok,
            """
            <h1>Connect a device</h1><form method=post action=/device>
            <label>Code <input name=user_code value="\(escaped(userCode))"></label>
            <label>Account <input name=account value="user-1"></label>
            <button name=decision value=allow>Allow</button> <button name=decision value=deny>Deny</button></form>
            """)
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
    }
}
