-- REMOVE: deletes everything but the generation, which must never repeat, the attempts that were committed, whose
-- answers are no news, and the fingerprints of refused tokens; a late COMMIT finds no account.
-- KEYS  account, lock, due, accounts, orphans, events, pooled
-- ARGV  id, provider as last seen, required generation or '', channel
-- Reply {word, now, detail}
local id, provider, required = ARGV[1], ARGV[2], ARGV[3]
local account, now, refusal = account_to_change(KEYS[1], provider, required)
if refusal then return refusal end
local generation = account[AT.generation]

local refused = redis.call('HGET', KEYS[1], 'refused') or ''
redis.call('DEL', KEYS[1], KEYS[2], KEYS[5])
redis.call(
    'HSET', KEYS[1], 'generation', generation, 'removed', '1', 'updated_at', int(now), 'recent_attempts',
    account[AT.recent_attempts] or '', 'refused', refused)
redis.call('ZREM', KEYS[3], id)
redis.call('ZREM', KEYS[4], id)
redis.call('HDEL', KEYS[7], id)
append_event(KEYS[6], now, 'type', 'account.removed', 'account', id, 'provider', provider, 'generation', generation)
announce(ARGV[4], generation, 'removed', id)
return {'DONE', int(now), generation}
