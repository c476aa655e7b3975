-- PUT: adds an account, or gives it new credentials (re-authorisation). The secrets were sealed for the generation
-- after the expected one, so a generation that has moved on is answered RETRY.
-- KEYS  account, due, accounts, events, pooled
-- ARGV  id, provider, expected generation, name given (0|1), name, overwrite (always|if_newer|never),
--       required generation or '', access or '', refresh, token type, expires at or '', due at, channel,
--       resume (0|1), attempt or '', fingerprints of the refresh token, force (0|1): take it though it was refused,
--       grant expires at or '', then pairs for trait_fields
-- Reply {word, now, detail}
local id, provider, expected = ARGV[1], ARGV[2], tonumber(ARGV[3])
local overwrite, required, expires_at, attempt = ARGV[6], ARGV[7], ARGV[11], ARGV[15]

local account = load(KEYS[1])
local now = now_ms()
local generation = tonumber(account[AT.generation] or '0') or 0
local is_there = exists(account)
-- The reply to this very change was lost: it is not made twice, for its tokens may have been used up since. Nor does it
-- bring back an account that has been removed since.
if attempt ~= '' and is_recent(account, attempt) then return {'REPLACED', int(now), int(generation)} end
if generation ~= expected then return {'RETRY', int(now), int(generation)} end
if required ~= '' and (not is_there or generation ~= tonumber(required)) then
    return {'CONFLICT', int(now), is_there and int(generation) or ''}
end
if is_there then
    if account[AT.provider] ~= provider then return {'OTHER', int(now), account[AT.provider]} end
    if overwrite == 'never' then return {'CONFLICT', int(now), int(generation)} end
    if overwrite == 'if_newer' then
        local stored, new = tonumber(account[AT.expires_at]), tonumber(expires_at)
        if not new or (stored and stored >= new) then return {'KEPT', int(now), int(generation)} end
    end
end

local traits = trait_fields(account, 19)
if not traits then return {'LABELS', int(now), int(generation)} end
local known = redis.call('HGET', KEYS[1], 'refused')
local refused = refused_at(known, ARGV[16])
if refused and ARGV[17] ~= '1' then return {'REFUSED', int(now), refused} end

local new_generation = int(generation + 1)
local name = ARGV[4] == '1' and ARGV[5] or (is_there and account[AT.name]) or ''
local enabled = is_there and ARGV[14] ~= '1' and account[AT.enabled] or '1'
-- New credentials end the account's failing, and say nothing of its provider's configuration.
local told = read_told(account)
told.account = '-'
redis.call(
    'HSET', KEYS[1], 'provider', provider, 'name', name, 'enabled', enabled, 'status', 'active', 'generation',
    new_generation, 'access', ARGV[8], 'refresh', ARGV[9], 'token_type', ARGV[10], 'expires_at', expires_at,
    'obtained_at', expires_at ~= '' and int(now) or '', 'updated_at', int(now), 'due_at', ARGV[12], 'failures', '0',
    'next_attempt_at', '', 'fault_kind', '', 'fault_message', '', 'intent', '', 'told', format_told(told),
    'authorized_at', int(now),
    'grant_expires_at', ARGV[18], 'grant_since', ARGV[18] ~= '' and int(now) or '', 'grant_warned', '0',
    'fingerprint', string.match(ARGV[16], '%S+') or '')
if refused then
    redis.call('HSET', KEYS[1], 'refused', table.concat(without_refused(known, ARGV[16]), ' '))
end
if attempt ~= '' then redis.call('HSET', KEYS[1], 'recent_attempts', with_recent(account, attempt)) end
if #traits > 0 then redis.call('HSET', KEYS[1], unpack(traits)) end
index_pool(KEYS[5], id, traits)
if not is_there then redis.call('HSET', KEYS[1], 'created_at', int(now)) end
redis.call('HDEL', KEYS[1], 'removed')
redis.call('ZADD', KEYS[3], '0', id)
if enabled == '1' then redis.call('ZADD', KEYS[2], ARGV[12], id) end
append_event(
    KEYS[4], now, 'type', is_there and 'account.reauthorized' or 'account.added', 'account', id, 'provider', provider,
    'generation', new_generation)
announce(ARGV[13], new_generation, 'added', id)
return {is_there and 'REPLACED' or 'CREATED', int(now), new_generation}
