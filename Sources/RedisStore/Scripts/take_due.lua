-- TAKE DUE: what is due now of each provider, moved ahead by the hold time; costs what is due, not what exists.
-- KEYS  pauses, then the due set of each provider
-- ARGV  hold ms, then for each provider its name and how many to take at most
-- Reply {now, ms until something else is due (-1: nothing), {index of the provider, id, …}}
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function int(number) return string.format('%.0f', number) end

-- As in prelude.lua: a pause beyond the longest was written before the clock was set back.
local FURTHEST_PAUSE = 3600000 + 5000

local hold, count = tonumber(ARGV[1]), #KEYS - 1
local names = {}
for index = 1, count do
    names[index] = ARGV[2 * index]
    names[count + index] = 'breaker ' .. ARGV[2 * index]
end
local pauses = count > 0 and redis.call('HMGET', KEYS[1], unpack(names)) or {}
local nearest, taken = -1, {}
local function expect(at)
    local wait = math.max(at - now, 0)
    if nearest < 0 or wait < nearest then nearest = wait end
end

for index = 1, count do
    local key, limit = KEYS[index + 1], tonumber(ARGV[2 * index + 1])
    local paused_until = pauses[index] and tonumber(string.match(pauses[index], '^(%d+) '))
    if paused_until and paused_until > now and paused_until <= now + FURTHEST_PAUSE then
        expect(paused_until)
    else
        -- After a pause of the circuit breaker one goes first.
        local trips = tonumber(string.match(pauses[count + index] or '', '^%d+ (%d+) '))
        if trips and trips > 0 then limit = math.min(limit, 1) end
        local ids = redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, limit)
        for _, id in ipairs(ids) do
            redis.call('ZADD', key, 'XX', int(now + hold), id)
            taken[#taken + 1] = tostring(index)
            taken[#taken + 1] = id
        end
        local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        if first[2] then expect(tonumber(first[2])) end
    end
end
return {int(now), int(nearest), taken}
