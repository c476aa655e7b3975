-- POOL STATE: tells once over the whole fleet that a pool is exhausted, and that it is not any more.
-- KEYS  fleet, events
-- ARGV  pool, state (exhausted|available), members, available, next or '', instance, channel
-- Reply {now, told (0|1)}
local pool, state, members, available = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
local field = 'pool ' .. pool
local since = redis.call('HGET', KEYS[1], field)

if state == 'available' then
    if not since then return {int(now), 0} end
    redis.call('HDEL', KEYS[1], field)
    append_event(
        KEYS[2], now, 'type', 'pool.recovered', 'pool', pool, 'since', since, 'accounts', members, 'available',
        available, 'instance', ARGV[6])
    announce_event(ARGV[7], KEYS[2])
    return {int(now), 1}
end
if since then return {int(now), 0} end
redis.call('HSET', KEYS[1], field, int(now))
append_event(
    KEYS[2], now, 'type', 'pool.exhausted', 'pool', pool, 'accounts', members, 'next_at', ARGV[5], 'instance', ARGV[6])
announce_event(ARGV[7], KEYS[2])
return {int(now), 1}
