-- STORE OUTAGE: tells once over the whole fleet that the store was away, when it is back. Instances notice the same
-- outage at different times; what overlaps the last one, or follows it closely, is part of it.
-- KEYS  fleet, events
-- ARGV  for how long it was away for this instance in ms, what it said, instance, closely in ms, channel
-- Reply {now, told (0|1)}
local now = now_ms()
local since = now - tonumber(ARGV[1])
local last_since, last_until = string.match(redis.call('HGET', KEYS[1], 'outage') or '', '^(%d+) (%d+)$')
local is_known = last_until and since <= tonumber(last_until) + tonumber(ARGV[4]) and
    not is_ahead(tonumber(last_until), now)
redis.call('HSET', KEYS[1], 'outage', (is_known and last_since or int(since)) .. ' ' .. int(now))
if is_known then return {int(now), 0} end
for _, type in ipairs({'store.degraded', 'store.recovered'}) do
    append_event(
        KEYS[2], now, 'type', type, 'since', int(since), 'until', int(now), 'message', ARGV[2], 'instance', ARGV[3])
end
announce_event(ARGV[5], KEYS[2])
return {int(now), 1}
