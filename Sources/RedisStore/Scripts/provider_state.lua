-- PROVIDER STATE: tells once over the whole fleet that a provider's configuration is at fault, and that it works again.
-- KEYS  fleet, events
-- ARGV  provider, state (misconfigured|works), what it answered, instance, channel
-- Reply {now, told (0|1)}
local provider, state = ARGV[1], ARGV[2]
local now = now_ms()
local field = 'provider ' .. provider
local since, seen = string.match(redis.call('HGET', KEYS[1], field) or '', '^misconfigured (%d+) (%d+)$')

if state == 'works' then
    if not since then return {int(now), 0} end
    redis.call('HDEL', KEYS[1], field)
    append_event(
        KEYS[2], now, 'type', 'provider.recovered', 'provider', provider, 'since', since, 'instance', ARGV[4])
    announce_event(ARGV[5], KEYS[2])
    return {int(now), 1}
end

-- One that nobody has met for a day is over, though nobody was there to say so (its accounts were removed).
local DAY = 86400000
local is_known = since and now - tonumber(seen) < DAY and not is_ahead(tonumber(seen), now)
redis.call('HSET', KEYS[1], field, 'misconfigured ' .. (is_known and since or int(now)) .. ' ' .. int(now))
if is_known then return {int(now), 0} end
append_event(
    KEYS[2], now, 'type', 'provider.misconfigured', 'provider', provider, 'message', ARGV[3], 'instance', ARGV[4])
announce_event(ARGV[5], KEYS[2])
return {int(now), 1}
