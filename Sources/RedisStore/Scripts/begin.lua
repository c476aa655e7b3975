-- BEGIN: the claim to one generation's refresh token, in one round trip.
-- KEYS  account, lock, due, pauses
-- ARGV  id, provider, demand (newer|due), seen generation, attempt, origin, lock ttl ms, recovering attempt or '',
--       ignore back-off (0|1), newest generation known or '', failover hold ms or 0,
--       frugal (0|1): no lock key is kept; the open intent with its age stands in for it,
--       interval and burst of the provider's rate limit in microseconds, or '' for none that is counted here
-- Reply {word, now, detail, detail, snapshot, refresh token if granted}; of GRANTED the second detail is '1' where
-- failures of the provider stand, 'first' where this attempt goes before everybody else, else ''
local id, provider, demand, seen, attempt, origin = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local ttl, recovering, ignore_backoff = tonumber(ARGV[7]), ARGV[8], ARGV[9] == '1'
local floor, failover_hold = tonumber(ARGV[10]), tonumber(ARGV[11])
local frugal = ARGV[12] == '1'
local interval, burst = tonumber(ARGV[13]), tonumber(ARGV[14])

local account, refresh = load_with_refresh(KEYS[1])
local now = now_ms()
if not exists(account) then return {'MISSING', int(now), '', '', account} end

local function reply(word, first, second)
    return {word, int(now), first or '', second or '', account}
end

-- The schedule is an index: whenever BEGIN sees that an entry is wrong, it puts it right.
local function reschedule(at)
    if demand ~= 'due' or account[AT.provider] ~= provider then return end
    if at then redis.call('ZADD', KEYS[3], int(at), id) else redis.call('ZREM', KEYS[3], id) end
end

local generation = tonumber(account[AT.generation])
-- The caller has seen newer tokens: this store has lost writes, and what it holds may have been spent.
if floor and generation < floor then
    -- A write, so that a store which takes none just now (NOREPLICAS) says that instead: waiting for whoever can put
    -- the tokens back counts only while they can be put back.
    redis.call('HSET', KEYS[4], ':rolled_back', int(now))
    return reply('ROLLED_BACK')
end
if demand == 'newer' and generation > seen then return reply('FRESH') end
if account[AT.enabled] ~= '1' or account[AT.status] == 'reauth_required' then
    reschedule(nil)
    return reply('BLOCKED')
end

local intent = parse_intent(account)
if intent == false then return reply('FOREIGN') end
-- The clock has been set back since: the age of the intent counts from now on, and its grace as over.
if intent and is_ahead(intent.at, now) then
    intent.at, intent.first_at = now, 0
    account[AT.intent] = format_intent(intent)
    redis.call('HSET', KEYS[1], 'intent', account[AT.intent])
end
-- Then what was put off until a time on that clock is not put off either.
local is_clock_back = is_ahead(tonumber(account[AT.updated_at]), now)

local function grant(new_intent, failures)
    if not frugal then redis.call('SET', KEYS[2], attempt, 'PX', int(ttl)) end
    account[AT.intent] = format_intent(new_intent)
    redis.call('HSET', KEYS[1], 'intent', account[AT.intent])
    return {'GRANTED', int(now), tostring(new_intent.resends), failures, account, refresh}
end

-- The reply to this very attempt was lost: the same answer again, written again so that a durability wait covers it.
if intent and intent.attempt == attempt then
    intent.at = now
    return grant(intent, '1')
end

if demand == 'due' then
    local due_at = tonumber(account[AT.due_at])
    if due_at and due_at > now and not is_clock_back then
        reschedule(due_at)
        return reply('FRESH')
    end
end

local own = account[AT.provider]
local wanted = {own, breaker_field(own)}
if interval then wanted[3] = rate_field(own) end
if failover_hold > 0 then wanted[#wanted + 1] = SERVER end
local state = redis.call('HMGET', KEYS[4], unpack(wanted))
local pause, breaker, rate = state[1], parse_breaker(state[2]), interval and state[3]
local server = failover_hold > 0 and state[#wanted]
local paused_until, cause = parse_pause(pause, now)
if paused_until then
    reschedule(paused_until)
    return reply('PAUSED', int(paused_until), cause)
end
local next_attempt_at = tonumber(account[AT.next_attempt_at])
if next_attempt_at and next_attempt_at > now and not ignore_backoff and not is_clock_back then
    reschedule(next_attempt_at)
    return reply('COOLING', int(next_attempt_at))
end

-- After a failover claims may be lost: nobody spends anything before their holders have come back with the answers.
if failover_hold > 0 then
    local since = watch_server(KEYS[4], now, server)
    if now < since + failover_hold then
        reschedule(since + failover_hold)
        return reply('QUARANTINED', int(since + failover_hold))
    end
end

local holder = not frugal and redis.call('GET', KEYS[2])
if holder and holder ~= attempt then
    local left = redis.call('PTTL', KEYS[2])
    -- One that lives longer than a lock can was set by a clock ahead; the intent says what is under way.
    if not is_ahead(left - ttl, 0) then return reply('HELD', tostring(left)) end
end
if intent and recovering ~= intent.attempt then return reply('PENDING', int(now - intent.at)) end

if interval then
    local expires_at = tonumber(account[AT.expires_at])
    local urgent = intent ~= nil or ignore_backoff or (demand == 'newer' and (not expires_at or expires_at <= now))
    local slot, promised = take_slot(KEYS[4], rate_field(own), rate, now, interval, burst, urgent)
    if slot then
        reschedule(tonumber(slot))
        return reply('LIMITED', slot, promised)
    end
end
local failures = breaker.failures > 0 and '1' or ''
if breaker.trips > 0 then
    go_first(KEYS[4], own, now, pause, breaker, attempt, ttl)
    failures = 'first'
end
if intent then
    intent.attempt, intent.origin, intent.state = attempt, origin, 'open'
    intent.at, intent.resends = now, intent.resends + 1
    return grant(intent, failures)
end
return grant({
    attempt = attempt, generation = account[AT.generation], origin = origin, state = 'open', at = now,
    first_at = now, resends = 0,
}, failures)
