-- SLOT TAKE: counts one more call of the first account that has not as many as it may have.
-- KEYS  slots of each account
-- ARGV  attempt, most, ttl ms
-- Reply {now, which of the keys, 0 for none}
local attempt, most, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
-- No call counts for longer: one that lies further ahead was written before the clock was set back.
local LONGEST = 86400000
for index, key in ipairs(KEYS) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', int(now))
    local count = redis.call('ZCARD', key)
    if count >= most then
        count = count - redis.call('ZREMRANGEBYSCORE', key, '(' .. int(now + LONGEST + CLOCK_TOLERANCE), '+inf')
    end
    if count < most then
        redis.call('ZADD', key, int(now + ttl), attempt)
        if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, int(ttl)) end
        return {int(now), index}
    end
end
return {int(now), 0}
