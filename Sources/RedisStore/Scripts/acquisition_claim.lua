-- ACQUISITION CLAIM: one run of a pool's chain at a time, spaced and counted.
-- KEYS  acquisition
-- ARGV  attempt, hold ms, most per day, interval ms, continues (0|1): a run that was counted when it began
-- Reply {word, now, until ms or '', reason or ''}
local attempt, hold, most, interval = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local holder, until_ms, next_at, day, count, reason = unpack(
    redis.call('HMGET', KEYS[1], 'attempt', 'until', 'next_at', 'day', 'count', 'error'))
until_ms, next_at = tonumber(until_ms or '0') or 0, tonumber(next_at or '0') or 0
local today = math.floor(now / 86400000)
if tonumber(day or '-1') ~= today then count = '0' end
count = tonumber(count or '0') or 0

-- The reply to this very claim was lost.
if holder == attempt then return {'GRANTED', int(now), '', ''} end
-- One that lies further ahead than any was written before the clock was set back.
if until_ms > now and until_ms <= now + hold then return {'UNDER_WAY', int(now), int(until_ms), ''} end
if next_at > now and next_at <= now + 86400000 then return {'NOT_BEFORE', int(now), int(next_at), reason or ''} end
local continues = ARGV[5] == '1'
if count >= most and not continues then return {'USED_UP', int(now), int((today + 1) * 86400000), ''} end
redis.call(
    'HSET', KEYS[1], 'attempt', attempt, 'until', int(now + hold), 'next_at', int(now + interval), 'day', int(today),
    'count', int(continues and count or count + 1))
return {'GRANTED', int(now), '', ''}
