-- ACQUISITION FINISH: the run is over. After failures the next one comes later and later, at the most an hour.
-- KEYS  acquisition
-- ARGV  attempt, error or '', retry after ms or ''
-- Reply {now}
local now = now_ms()
local holder, next_at, failures = unpack(redis.call('HMGET', KEYS[1], 'attempt', 'next_at', 'failures'))
if holder ~= ARGV[1] then return {int(now)} end
redis.call('HDEL', KEYS[1], 'attempt', 'until')
if ARGV[3] == '' then
    redis.call('HDEL', KEYS[1], 'failures', 'error')
else
    failures = math.min((tonumber(failures or '0') or 0) + 1, 20)
    local pause = math.max(tonumber(ARGV[3]), math.min(tonumber(ARGV[3]) * 2 ^ (failures - 1), 3600000))
    next_at = math.max(tonumber(next_at or '0') or 0, now + pause)
    redis.call('HSET', KEYS[1], 'failures', int(failures), 'error', ARGV[2], 'next_at', int(next_at))
end
return {int(now)}
