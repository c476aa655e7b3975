-- Shared by the account scripts; the loader puts it in front of each of them.
-- The order of FIELDS is the order in which AccountFields.swift reads a snapshot.
local FIELDS = {
    'provider', 'name', 'enabled', 'status', 'generation', 'access', 'token_type', 'expires_at', 'obtained_at',
    'created_at', 'updated_at', 'due_at', 'failures', 'next_attempt_at', 'fault_kind', 'fault_message', 'intent',
    'removed', 'recent_attempts', 'pool', 'tier', 'labels', 'proxy', 'told', 'authorized_at', 'grant_expires_at',
    'grant_since', 'grant_warned',
}
local AT = {}
for index, field in ipairs(FIELDS) do AT[field] = index end

-- Milliseconds on the server's clock. Integers in Lua are doubles: exact below 2^53.
local function now_ms()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function int(number)
    return string.format('%.0f', number)
end

-- Whether a time in the past was written by a clock that has been set back since. Instances may be this far apart, in ms.
local CLOCK_TOLERANCE = 5000

local function is_ahead(at, now)
    return at ~= nil and at > now + CLOCK_TOLERANCE
end

local function load(key)
    return redis.call('HMGET', key, unpack(FIELDS))
end

-- An account of which only these fields are known.
local function load_only(key, fields)
    local account = {}
    for index, value in ipairs(redis.call('HMGET', key, unpack(fields))) do account[AT[fields[index]]] = value end
    return account
end

-- The account and its sealed refresh token, in one command. The token is not part of the snapshot that replies carry.
local FIELDS_AND_REFRESH = {unpack(FIELDS)}
FIELDS_AND_REFRESH[#FIELDS + 1] = 'refresh'

local function load_with_refresh(key)
    local account = redis.call('HMGET', key, unpack(FIELDS_AND_REFRESH))
    return account, table.remove(account)
end

local function exists(account)
    return account[AT.generation] and account[AT.removed] ~= '1'
end

-- The intent of the account's current generation: nil when there is none, false when a newer version wrote it.
-- "v1 attempt generation origin state at first_at resends"
local function parse_intent(account)
    local text = account[AT.intent]
    if not text or text == '' then return nil end
    local attempt, generation, origin, state, at, first_at, resends =
        string.match(text, '^v1 (%S+) (%d+) (%S+) (%a+) (%d+) (%d+) (%d+)$')
    if not attempt then return false end
    if tonumber(generation) ~= tonumber(account[AT.generation]) then return nil end
    return {
        attempt = attempt, generation = generation, origin = origin, state = state,
        at = tonumber(at), first_at = tonumber(first_at), resends = tonumber(resends),
    }
end

local function format_intent(intent)
    return string.format(
        'v1 %s %s %s %s %.0f %.0f %d', intent.attempt, intent.generation, intent.origin, intent.state, intent.at,
        intent.first_at, intent.resends)
end

-- The head of a script that changes an account: where it must not, the reply to give instead comes third.
local function account_to_change(key, provider, required)
    local account, now, refusal = load(key), now_ms(), nil
    if not exists(account) then
        refusal = {'MISSING', int(now), ''}
    elseif account[AT.provider] ~= provider then
        refusal = {'RETRY', int(now), account[AT.generation]}
    elseif required ~= '' and tonumber(required) ~= tonumber(account[AT.generation]) then
        refusal = {'CONFLICT', int(now), account[AT.generation]}
    end
    return account, now, refusal
end

-- Labels are lines "key=value"; changes to them are lines "key=value" to set and "key" to remove.
local MOST_LABELS = 32

local function merge_labels(labels, changes)
    local values, lines = {}, {}
    for key, value in string.gmatch(labels or '', '([^=\n]+)=([^\n]*)') do values[key] = value end
    for line in string.gmatch(changes, '[^\n]+') do
        local key, value = string.match(line, '^([^=]+)=(.*)$')
        values[key or line] = value
    end
    for key, value in pairs(values) do lines[#lines + 1] = key .. '=' .. value end
    table.sort(lines)
    return table.concat(lines, '\n'), #lines
end

-- What the arguments from `first` on say of pool, tier, labels and proxy, ready for HSET: pairs of a field and its value,
-- '' takes it away; label_changes is merged into the labels there are. Nil where they would be too many.
local function trait_fields(account, first)
    local fields = {}
    for index = first, #ARGV, 2 do
        local field, value, count = ARGV[index], ARGV[index + 1], 0
        if field == 'label_changes' then
            field = 'labels'
            value, count = merge_labels(account[AT.labels], value)
            if count > MOST_LABELS then return nil end
        end
        fields[#fields + 1] = field
        fields[#fields + 1] = value
    end
    return fields
end

-- Keeps the index of those in pools in step with what trait_fields has found.
local function index_pool(key, id, fields)
    for index = 1, #fields, 2 do
        if fields[index] == 'pool' then
            if fields[index + 1] == '' then
                redis.call('HDEL', key, id)
            else
                redis.call('HSET', key, id, fields[index + 1])
            end
        end
    end
end

-- The attempts that were committed last, newest first: a COMMIT that is repeated after later refreshes is recognised.
local ATTEMPTS_KEPT = 8

local function is_recent(account, attempt)
    return string.find(' ' .. (account[AT.recent_attempts] or '') .. ' ', ' ' .. attempt .. ' ', 1, true) ~= nil
end

local function with_recent(account, attempt)
    local kept = {attempt}
    for one in string.gmatch(account[AT.recent_attempts] or '', '%S+') do
        if #kept < ATTEMPTS_KEPT and one ~= attempt then kept[#kept + 1] = one end
    end
    return table.concat(kept, ' ')
end

-- An orphan is "attempt generation kept_at cause origin provider newest sealed": the generation that was spent for it,
-- and the one that stood in its way. Entries of older versions are "attempt generation kept_at sealed".
local function find_orphan(key, attempt)
    local mark = attempt .. ' '
    for index, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do
        if string.sub(entry, 1, #mark) == mark then return entry, index - 1 end
    end
    return nil
end

local function free_lock(key, attempt)
    if redis.call('GET', key) == attempt then redis.call('DEL', key) end
end

-- The longest pause of a provider, in ms (`RefreshMachine.longestPause`); take_due.lua says it too.
local LONGEST_PAUSE = 3600000

-- Of two pauses the longer one stands: requests that were refused together are told different times. One beyond the
-- longest was written before the clock was set back.
local function pause_provider(key, provider, now, pause_ms, cause)
    local standing = tonumber(string.match(redis.call('HGET', key, provider) or '', '^(%d+) '))
    if standing and standing > now + pause_ms and standing <= now + LONGEST_PAUSE then return end
    redis.call('HSET', key, provider, int(now + pause_ms) .. ' ' .. cause)
end

-- The time until which a pause lasts and its cause; nil for none, and for one that has ended.
local function parse_pause(text, now)
    local until_ms, cause = string.match(text or '', '^(%d+) (.*)$')
    until_ms = tonumber(until_ms)
    if until_ms and until_ms > now and not is_ahead(until_ms - LONGEST_PAUSE, now) then return until_ms, cause end
    return nil, cause
end

-- Beside the pause of a provider stand the states of its rate limit and of its circuit breaker. A provider's name has no
-- blank.
local function rate_field(provider) return 'rate ' .. provider end
local function breaker_field(provider) return 'breaker ' .. provider end

-- The longest that a slot is promised ahead, in microseconds; RateBucket.swift says what the numbers mean.
local LONGEST_PROMISE = 60000000

-- Takes a slot of a rate limit and returns nil; or returns when one is free, in ms, and '1' where the caller may count on
-- it. `text` is the state "arrival promised" in microseconds; interval and burst are, too.
local function take_slot(key, field, text, now, interval, burst, urgent)
    local at, slack = now * 1000, CLOCK_TOLERANCE * 1000
    local arrival, promised = string.match(text or '', '^(%d+) (%d+)$')
    arrival, promised = tonumber(arrival or '0'), tonumber(promised or '0')
    if arrival > at + burst + interval + slack then arrival = at end
    if promised > at + LONGEST_PROMISE + interval + slack then promised = at end
    arrival = math.max(arrival, at)
    local base = urgent and arrival or math.max(arrival, promised)
    if base - at <= burst then
        redis.call('HSET', key, field, int(arrival + interval) .. ' ' .. int(promised))
        return nil
    end
    local slot = base - burst
    if not urgent then return int(math.ceil(slot / 1000)), '0' end
    slot = math.max(slot, promised)
    if slot - at > LONGEST_PROMISE then return int(math.ceil(slot / 1000)), '0' end
    redis.call('HSET', key, field, int(arrival) .. ' ' .. int(slot + interval))
    return int(math.ceil(slot / 1000)), '1'
end

-- The circuit breaker "failures trips probe": failures in a row, how often it has opened since the last answer, and the
-- attempt that goes first after a pause ('-' for none).
local function parse_breaker(text)
    local failures, trips, probe = string.match(text or '', '^(%d+) (%d+) (%S+)$')
    return {failures = tonumber(failures or '0'), trips = tonumber(trips or '0'), probe = probe or '-'}
end

local function format_breaker(breaker)
    return string.format('%.0f %.0f %s', breaker.failures, breaker.trips, breaker.probe)
end

-- Whether a cause is that the provider asked for the pause.
local function is_asked_for(cause)
    return string.match(cause or '', '^throttled ') ~= nil
end

-- One more failure of the provider. What was under way when the circuit opened adds nothing to the pause; the attempt
-- that went first after one decides about the next, which replaces the time that was kept for it, but not a longer one
-- that the provider has asked for.
local function note_failure(key, provider, now, attempt, cause, threshold, base, cap, jitter, least)
    local pause, state = unpack(redis.call('HMGET', key, provider, breaker_field(provider)))
    local breaker = parse_breaker(state)
    local standing, standing_cause = parse_pause(pause, now)
    local is_probe = breaker.probe == attempt
    breaker.failures = breaker.failures + 1
    if breaker.failures >= threshold and (is_probe or breaker.trips == 0 or not standing) then
        local floor = math.floor(base / 2)
        local ceiling = math.min(cap, base * 2 ^ math.min(breaker.trips, 20))
        local ends = now + math.max(floor + math.floor((ceiling - floor) * jitter / 1000), least)
        if not standing or standing < ends or (is_probe and not is_asked_for(standing_cause)) then
            pause = int(ends) .. ' ' .. cause
        end
        breaker.trips, breaker.probe = breaker.trips + 1, '-'
        redis.call('HSET', key, provider, pause, breaker_field(provider), format_breaker(breaker))
    else
        redis.call('HSET', key, breaker_field(provider), format_breaker(breaker))
    end
end

-- The provider answers again. Returns whether that ends a pause, which must not be one that the provider asked for.
local function note_answer(key, provider)
    local pause, state = unpack(redis.call('HMGET', key, provider, breaker_field(provider)))
    if not state then return false end
    local _, cause = parse_pause(pause, 0)
    if parse_breaker(state).trips > 0 and not is_asked_for(cause) then
        redis.call('HDEL', key, breaker_field(provider), provider)
        return true
    end
    redis.call('HDEL', key, breaker_field(provider))
    return false
end

-- After a pause one attempt goes first, and the others wait until it has found out, or is gone. That is no pause that the
-- provider has asked for, even where the one before it was.
local function go_first(key, provider, now, pause, breaker, attempt, ttl)
    local _, cause = parse_pause(pause, now)
    if not cause or is_asked_for(cause) then cause = 'ambiguous the provider was failing' end
    breaker.probe = attempt
    redis.call(
        'HSET', key, provider, int(now + ttl) .. ' ' .. cause, breaker_field(provider), format_breaker(breaker))
end

-- Fingerprints of refresh tokens that the provider has refused, newest first: "fingerprint@ms fingerprint@ms …".
local REFUSALS_KEPT = 4

local function refused_at(text, fingerprints)
    for fingerprint in string.gmatch(fingerprints, '%S+') do
        for known, at in string.gmatch(text or '', '(%S+)@(%d+)') do
            if known == fingerprint then return at end
        end
    end
    return nil
end

-- Without those in `fingerprints`.
local function without_refused(text, fingerprints)
    local kept = {}
    for entry in string.gmatch(text or '', '%S+') do
        if not refused_at(entry, fingerprints) then kept[#kept + 1] = entry end
    end
    return kept
end

local function with_refused(text, fingerprint, now)
    local kept = without_refused(text, fingerprint)
    table.insert(kept, 1, fingerprint .. '@' .. int(now))
    while #kept > REFUSALS_KEPT do table.remove(kept) end
    return table.concat(kept, ' ')
end

local EVENTS_KEPT = 10000

-- The stream with an event that somebody may wait for: all but the refreshes, which are too many.
local news

-- Whoever calls this announces something afterwards; what follows the key and the time begins with 'type'.
local function append_event(key, now, ...)
    redis.call('XADD', key, 'MAXLEN', '~', EVENTS_KEPT, '*', 'at', int(now), ...)
    if select(2, ...) ~= 'token.refreshed' then news = key end
end

-- Tells the leader of an event that no announcement of an account goes with.
local function announce_event(channel, events)
    redis.call('PUBLISH', channel, 'events ' .. string.match(events, '{(%d+)}'))
end

-- What has been told of the account's failing, so that an event stands for a change and not for each try: the causes of
-- its own failing since it last worked, oldest first, and what it has met of its provider's configuration: 'misconfigured',
-- or 'works' from the first refresh after that until the next. Kept as "CAUSE,CAUSE PROVIDER", - for none.
local function read_told(account)
    local own, provider = string.match(account[AT.told] or '', '^(%S+) (%S+)$')
    return {account = own or '-', provider = provider or '-'}
end

-- Nil where that cause has been told.
local function with_cause(causes, cause)
    if string.find(',' .. causes .. ',', ',' .. cause .. ',', 1, true) then return nil end
    return causes == '-' and cause or causes .. ',' .. cause
end

local function format_told(told)
    if told.account == '-' and told.provider == '-' then return '' end
    return told.account .. ' ' .. told.provider
end

local function announce(channel, generation, outcome, id)
    -- Of these two outcomes most come without such an event, and nobody looks for one.
    if news and (outcome == 'refreshed' or outcome == 'failed') then announce_event(channel, news) end
    redis.call('PUBLISH', channel, generation .. ' ' .. outcome .. ' ' .. id)
end

local function announce_resumed(channel)
    redis.call('PUBLISH', channel, 'provider resumed')
end

-- Since when this very server has been in charge, in ms: 0 for the one that was there from the beginning. The key of
-- the pauses holds, beside the providers, the replication id last seen ("id since"); Redis takes a new one whenever a
-- replica is promoted or a server starts anew, and either may have lost writes that were acknowledged.
local SERVER = ':server'

-- `known` is that field where the caller has read it already (false: not there), nil where it has not.
local function watch_server(key, now, known)
    local info = redis.pcall('INFO', 'replication')
    local id = type(info) == 'string' and string.match(info, 'master_replid:(%x+)')
    -- A hosted server that does not tell: generations have to do.
    if not id then return 0 end
    if known == nil then known = redis.call('HGET', key, SERVER) end
    local known_id, since = string.match(known or '', '^(%x+) (%d+)$')
    since = tonumber(since or '0')
    -- Neither a time ahead, after the clock was set back, nor an unknown server is left standing.
    if known_id ~= id or since > now then
        since = known and now or 0
        redis.call('HSET', key, SERVER, id .. ' ' .. int(since))
    end
    return since
end
