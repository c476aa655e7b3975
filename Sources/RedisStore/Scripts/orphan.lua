-- ORPHAN: keeps a token response for which the account has no room any more. One entry per attempt.
-- KEYS  orphans, events
-- ARGV  id, provider, attempt, generation, sealed response, origin
local id, provider, attempt, generation = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
local mark = attempt .. ' '
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    if string.sub(entry, 1, #mark) == mark then return {'KEPT', int(now)} end
end
redis.call('RPUSH', KEYS[1], mark .. generation .. ' ' .. int(now) .. ' ' .. ARGV[5])
append_event(
    KEYS[2], now, 'type', 'token.orphaned', 'account', id, 'provider', provider, 'generation', generation,
    'instance', ARGV[6])
return {'KEPT', int(now)}
