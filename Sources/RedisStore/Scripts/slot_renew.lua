-- SLOT RENEW: a call that has a slot goes on.
-- KEYS  slots of the account
-- ARGV  attempt, ttl ms
-- Reply {now, 1 if it still has the slot, else 0}
local key, attempt, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
local now = now_ms()
if not redis.call('ZSCORE', key, attempt) then return {int(now), 0} end
redis.call('ZADD', key, int(now + ttl), attempt)
if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, int(ttl)) end
return {int(now), 1}
