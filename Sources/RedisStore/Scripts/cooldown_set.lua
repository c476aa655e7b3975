-- COOLDOWN SET: an account cools down, or the end of a running cool-down is told (`CooldownOrder.apply`).
-- KEYS  cooldowns, forgotten
-- ARGV  pool, field, until or '', first ms, longest ms, limit ms, cause, shortest ms, channel, slack ms, may shorten (0|1),
--       replaces (0|1), when the account was added or '', the end that was guessed or '', most with a dimension
-- Reply {now, version, cool-down}
local pool, field, cause, channel = ARGV[1], ARGV[2], ARGV[7], ARGV[9]
local told, first, longest, limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local shortest, slack, may_shorten, replaces = tonumber(ARGV[8]), tonumber(ARGV[10]), ARGV[11] == '1', ARGV[12] == '1'
local added, guess, most = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local now = now_ms()
local text, version = load_cooldown(KEYS[1], field)
local is_new = not text
local cooldown = parse_cooldown(text)
-- A person's word replaces it; or it is of another account of that name, which was removed.
if replaces or (cooldown and added and is_ahead(added, cooldown.since)) then cooldown = nil end
-- An end that is past says nothing.
if told and told <= now then told = nil end
if told then told = math.min(math.max(told, now + shortest), now + limit) end

local function length(repeats)
    local grown = math.min(first * 2 ^ math.min(repeats - 1, 20), math.max(longest, first))
    return math.min(math.max(grown, shortest), limit)
end

if is_running(cooldown, now) then
    -- The same quota again, told by a call that began before: that repeats nothing. What is told counts before a guess, a
    -- later end before an earlier one.
    local is_guess = cooldown.told == '0'
    if told then
        if told <= cooldown.ends + (is_guess and 0 or slack) and not (is_guess and may_shorten) then
            return {int(now), int(version), text}
        end
        cooldown.ends, cooldown.told = told, '1'
    else
        local ends = guess or cooldown.since + length(cooldown.repeats)
        if not is_guess or ends <= cooldown.ends or ends <= now then return {int(now), int(version), text} end
        cooldown.ends = math.min(ends, now + limit)
    end
    cooldown.cause = cause
else
    local repeats = math.min((cooldown and cooldown.repeats or 0) + 1, 1000)
    local ends = now + length(repeats)
    if guess then ends = math.min(math.max(guess, now + shortest), now + limit) end
    cooldown = {
        since = now, ends = told or ends, repeats = repeats, told = told and '1' or '0', probe = '-', cause = cause,
    }
end
version = next_version(version, now)
text = store_cooldown(KEYS[1], channel, pool, field, version, cooldown)
-- How often it has been is forgotten some time after its end; what has been by now goes.
redis.call('ZADD', KEYS[2], int(cooldown.ends + longest), field)
local forgotten = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', int(now), 'LIMIT', 0, 100)
-- Callers name models and scopes as they like: beyond so many, those go that would be forgotten first.
if is_new and #forgotten == 0 and string.find(field, '/', 1, true) and redis.call('HLEN', KEYS[1]) > most + 1 then
    for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, 9)) do
        if other ~= field then forgotten[#forgotten + 1] = other end
    end
end
if #forgotten > 0 then
    redis.call('HDEL', KEYS[1], unpack(forgotten))
    redis.call('ZREM', KEYS[2], unpack(forgotten))
end
return {int(now), int(version), text}
