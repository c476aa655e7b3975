-- ORPHAN: keeps a token response for which the account has no room any more. One entry per attempt.
-- KEYS  orphans, events
-- ARGV  id, provider, attempt, generation, sealed response, origin, cause (moved|removed), newest generation or '-', channel
-- Reply {word, now}
local id, provider, attempt, generation, sealed = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local origin, cause, newest = ARGV[6], ARGV[7], ARGV[8]
local now = now_ms()
local entry, index = find_orphan(KEYS[1], attempt)
if entry then
    -- Written once more, so that a durability wait that follows covers it.
    redis.call('LSET', KEYS[1], index, entry)
    return {'KEPT', int(now)}
end
redis.call(
    'RPUSH', KEYS[1],
    table.concat({attempt, generation, int(now), cause, origin, provider, newest, sealed}, ' '))
append_event(
    KEYS[2], now, 'type', 'token.orphaned', 'account', id, 'provider', provider, 'generation', generation,
    'attempt', attempt, 'cause', cause, 'instance', origin)
announce_event(ARGV[9], KEYS[2])
return {'KEPT', int(now)}
