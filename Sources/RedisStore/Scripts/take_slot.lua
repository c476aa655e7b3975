-- TAKE SLOT: the rate limit of a provider where its accounts lie in many partitions; one of them counts for all.
-- KEYS  pauses of that partition
-- ARGV  provider, interval and burst in microseconds, urgent (0|1)
-- Reply {now, ms at which a slot is free or '' for taken, promised (0|1)}
local now = now_ms()
local field = rate_field(ARGV[1])
local slot, promised = take_slot(
    KEYS[1], field, redis.call('HGET', KEYS[1], field), now, tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1')
return {int(now), slot or '', promised or '0'}
