-- DROP: throws an orphan's tokens away. Where it was the last thing that spoke for an account whose newest refresh
-- token has been refused, the account needs a new log-in from now on.
-- KEYS  account, due, orphans, events
-- ARGV  id, provider as last seen or '', attempt, origin, channel
-- Reply {word, now, detail}; DONE, or DEAD where the account needs a new log-in now
local id, provider, attempt = ARGV[1], ARGV[2], ARGV[3]
local account = load(KEYS[1])
local now = now_ms()
if exists(account) and account[AT.provider] ~= provider then return {'RETRY', int(now), ''} end
local entry = find_orphan(KEYS[3], attempt)
if not entry then return {'NONE', int(now), ''} end
redis.call('LREM', KEYS[3], 1, entry)
local generation = account[AT.generation] or '0'
append_event(
    KEYS[4], now, 'type', 'token.dropped', 'account', id, 'provider', provider, 'generation', generation, 'attempt',
    attempt, 'instance', ARGV[4])
announce_event(ARGV[5], KEYS[4])
if not exists(account) then return {'DONE', int(now), ''} end

local intent = parse_intent(account)
if not intent or intent.state ~= 'refused' or redis.call('EXISTS', KEYS[3]) == 1 then
    return {'DONE', int(now), ''}
end
redis.call(
    'HSET', KEYS[1], 'status', 'reauth_required', 'next_attempt_at', '', 'due_at', '', 'intent', '', 'updated_at',
    int(now))
redis.call('ZREM', KEYS[2], id)
append_event(
    KEYS[4], now, 'type', 'account.reauthorization_required', 'account', id, 'provider', provider, 'generation',
    generation, 'cause', account[AT.fault_kind] or '', 'message', account[AT.fault_message] or '', 'instance', ARGV[4])
announce(ARGV[5], generation, 'refused', id)
return {'DEAD', int(now), generation}
