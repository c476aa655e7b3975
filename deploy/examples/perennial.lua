-- Asks Perennial for a token: see haproxy.cfg.

local url = os.getenv("PERENNIAL_URL") or "http://127.0.0.1:8700"
local key = os.getenv("PERENNIAL_KEY")

local function ask(whose, more)
    local headers = { ["host"] = { "localhost" } }
    if key then headers["x-perennial-key"] = { key } end
    for name, value in pairs(more or {}) do headers[name] = { value } end
    return core.httpclient():get { url = url .. "/v1/forward-auth/" .. whose, headers = headers, timeout = 30000 }
end

local function first(answer, name)
    local values = answer.headers and answer.headers[name]
    return values and values[0]
end

core.register_action("perennial", { "http-req" }, function(txn, whose)
    local answer = ask(whose)
    txn:set_var("txn.perennial_status", answer and answer.status or 503)
    txn:set_var("txn.perennial_error", answer and first(answer, "perennial-error") or "unreachable")
    txn:set_var("txn.perennial_retry_after", answer and first(answer, "retry-after") or "1")
    if answer and answer.status == 200 then
        -- Nothing is not stored: it would come back as something else.
        local found = { token = "authorization", account = "perennial-account", generation = "perennial-generation" }
        for variable, header in pairs(found) do
            local value = first(answer, header)
            if value then txn:set_var("txn.perennial_" .. variable, value) end
        end
    end
end, 1)

core.register_action("perennial_refused", { "http-res" }, function(txn, whose)
    local generation = txn:get_var("txn.perennial_generation")
    -- A configured token is of no generation, and nothing replaces it.
    if type(generation) ~= "string" then return end
    ask(whose, {
        ["x-perennial-refused-account"] = txn:get_var("txn.perennial_account"),
        ["x-perennial-refused-generation"] = generation,
    })
end, 1)
