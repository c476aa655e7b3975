-- REMOVE: deletes everything but the generation, which must never repeat; a late COMMIT finds no account.
-- KEYS  account, lock, due, accounts, orphans, events
-- ARGV  id, provider as last seen, required generation or '', channel
-- Reply {word, now, detail}
local id, provider, required = ARGV[1], ARGV[2], ARGV[3]
local account = load(KEYS[1])
local now = now_ms()
if not exists(account) then return {'MISSING', int(now), ''} end
if account[AT.provider] ~= provider then return {'RETRY', int(now), ''} end
local generation = account[AT.generation]
if required ~= '' and tonumber(required) ~= tonumber(generation) then return {'CONFLICT', int(now), generation} end

redis.call('DEL', KEYS[1], KEYS[2], KEYS[5])
redis.call('HSET', KEYS[1], 'generation', generation, 'removed', '1', 'updated_at', int(now))
redis.call('ZREM', KEYS[3], id)
redis.call('ZREM', KEYS[4], id)
append_event(KEYS[6], now, 'type', 'account.removed', 'account', id, 'provider', provider, 'generation', generation)
announce(ARGV[4], generation, 'removed', id)
return {'DONE', int(now), generation}
