/// What an assistant can ask for.
enum MCPTool: String, Sendable, Hashable, CaseIterable {
    case listAccounts = "list_accounts"
    case tokenStatus = "token_status"
    case refreshToken = "refresh_token"
    case poolStatus = "pool_status"

    var scope: Scope { self == .refreshToken ? .refresh : .read }

    private var title: String {
        switch self {
        case .listAccounts: "List accounts"
        case .tokenStatus: "Status of an account's token"
        case .refreshToken: "Replace a token"
        case .poolStatus: "Status of pools"
        }
    }

    private var description: String {
        switch self {
        case .listAccounts:
            """
            Lists accounts in the order of their ids, without their tokens. With a filter a page may hold few accounts or none \
            although there are more: go on with "after" as long as "next" is not null.
            """
        case .tokenStatus:
            """
            Says of one account whether it has a valid access token, until when, of which generation, and what the last \
            failed refresh was about. Never shows the token.
            """
        case .refreshToken:
            """
            Has the token of one generation replaced, for example because an API has refused it. Take "if_generation" from \
            token_status: where that generation is no longer the newest nothing is done, so the call can be repeated. Never \
            shows the token.
            """
        case .poolStatus:
            """
            Says of all pools, or of one with each of its accounts, which accounts are available, which are cooling down, and \
            when the next one will be free.
            """
        }
    }

    /// JSON Schema of the arguments.
    private var inputSchema: String {
        switch self {
        case .listAccounts:
            """
            {"type":"object","properties":{\
            "provider":{"type":"string","description":"Only those of this provider."},\
            "status":{"type":"string","enum":["active","degraded","reauth_required","disabled"]},\
            "pool":{"type":"string"},"tier":{"type":"string"},\
            "after":{"type":"string","description":"Go on behind this id: next of the page before."},\
            "limit":{"type":"integer","minimum":1,"maximum":\(MCPToolbox.largestPage),"default":\(MCPToolbox.defaultPage)}\
            },"additionalProperties":false}
            """
        case .tokenStatus:
            """
            {"type":"object","properties":{"account":{"type":"string","description":"The account's id."}},\
            "required":["account"],"additionalProperties":false}
            """
        case .refreshToken:
            """
            {"type":"object","properties":{"account":{"type":"string","description":"The account's id."},\
            "if_generation":{"type":"integer","minimum":0,"description":"The generation that is to be replaced."}},\
            "required":["account","if_generation"],"additionalProperties":false}
            """
        case .poolStatus:
            """
            {"type":"object","properties":{"pool":{"type":"string","description":"Only this one, with its accounts."}},\
            "additionalProperties":false}
            """
        }
    }

    /// JSON Schema of the result. More members may come.
    private var outputSchema: String {
        let time = #"{"type":["string","null"],"description":"RFC 3339, UTC"}"#
        return switch self {
        case .listAccounts:
            #"{"type":"object","properties":{"accounts":{"type":"array","items":{"type":"object","properties":{"#
                + #""id":{"type":"string"},"provider":{"type":"string"},"status":{"type":"string"},"#
                + #""generation":{"type":"integer"},"expires_at":\#(time)},"required":["id","status","generation"]}},"#
                + #""next":{"type":["string","null"]}},"required":["accounts","next"]}"#
        case .tokenStatus:
            #"{"type":"object","properties":{"account":{"type":"string"},"provider":{"type":"string"},"#
                + #""status":{"type":"string"},"generation":{"type":"integer"},"valid":{"type":"boolean"},"#
                + #""expires_at":\#(time),"expires_in":{"type":"integer"},"due_at":\#(time),"next_attempt_at":\#(time),"#
                + #""failures":{"type":"integer"},"last_fault":{"type":["object","null"]},"#
                + #""refreshing":{"type":"boolean"}},"required":["account","status","generation","valid"]}"#
        case .refreshToken:
            #"{"type":"object","properties":{"account":{"type":"string"},"#
                + #""outcome":{"type":"string","enum":["refreshed","joined","already_newer"]},"#
                + #""generation":{"type":"integer"},"expires_at":\#(time)},"required":["account","outcome","generation"]}"#
        case .poolStatus:
            #"{"type":"object","properties":{"pools":{"type":"array","items":{"type":"object","properties":{"#
                + #""name":{"type":"string"},"accounts":{"type":"integer"},"available":{"type":"integer"},"#
                + #""next_at":\#(time)},"required":["name","accounts","available"]}}},"required":["pools"]}"#
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.key("name")
            writer.string(rawValue)
            writer.key("title")
            writer.string(title)
            writer.key("description")
            writer.string(description)
            writer.key("inputSchema")
            writer.json(Array(inputSchema.utf8))
            writer.key("outputSchema")
            writer.json(Array(outputSchema.utf8))
            writer.key("annotations")
            writer.object { writer in
                writer.key("title")
                writer.string(title)
                writer.key("readOnlyHint")
                writer.bool(self != .refreshToken)
                writer.key("destructiveHint")
                writer.bool(false)
                writer.key("idempotentHint")
                writer.bool(true)
                // Only a refresh asks anybody else.
                writer.key("openWorldHint")
                writer.bool(self == .refreshToken)
            }
        }
    }
}
