-- EDIT: changes what is not a credential, field by field, so that an edit and a refresh at once both land.
-- KEYS  account, due, events, pooled
-- ARGV  id, provider as last seen, required generation or '', name given (0|1), name, enabled (0|1|''), channel,
--       then pairs for trait_fields
-- Reply {word, now, detail}
local id, provider, required = ARGV[1], ARGV[2], ARGV[3]
local account, now, refusal = account_to_change(KEYS[1], provider, required)
if refusal then return refusal end
local generation = account[AT.generation]

local traits = trait_fields(account, 8)
if not traits then return {'LABELS', int(now), generation} end

redis.call('HSET', KEYS[1], 'updated_at', int(now), unpack(traits))
index_pool(KEYS[4], id, traits)
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'name', ARGV[5]) end
if ARGV[6] ~= '' and ARGV[6] ~= account[AT.enabled] then
    redis.call('HSET', KEYS[1], 'enabled', ARGV[6])
    if ARGV[6] == '0' then
        redis.call('ZREM', KEYS[2], id)
    elseif account[AT.status] ~= 'reauth_required' then
        redis.call('ZADD', KEYS[2], account[AT.due_at] ~= '' and account[AT.due_at] or int(now), id)
    end
    append_event(
        KEYS[3], now, 'type', ARGV[6] == '1' and 'account.resumed' or 'account.paused', 'account', id, 'provider',
        provider, 'generation', generation)
end
announce(ARGV[7], generation, 'edited', id)
return {'DONE', int(now), generation}
