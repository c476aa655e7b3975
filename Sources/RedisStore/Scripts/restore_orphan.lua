-- RESTORE: makes an orphan's tokens the newest generation, g+1, and takes the orphan off the list. Credentials that
-- nobody has spent or refused take the orphan's place there, so that nothing is lost by a mistaken restore.
-- KEYS  account, lock, due, orphans, events
-- ARGV  id, provider as last seen, expected generation, attempt, access, refresh, token type, expires at, obtained at,
--       due at, force (0|1), ms for which an open intent counts as under way, replaced credentials as an orphan's
--       sealed response, origin, channel
-- Reply {word, now, detail}; for BUSY the detail is held, open or foreign, for DONE the generation
local id, provider, expected, attempt = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local account, now, refusal = account_to_change(KEYS[1], provider, expected)
if refusal then return refusal end
local entry = find_orphan(KEYS[4], attempt)
if not entry then return {'NONE', int(now), ''} end

local intent = parse_intent(account)
if ARGV[11] ~= '1' then
    if redis.call('EXISTS', KEYS[2]) == 1 then return {'BUSY', int(now), 'held'} end
    if intent == false then return {'BUSY', int(now), 'foreign'} end
    if intent and intent.state == 'open' and now - intent.at < tonumber(ARGV[12]) then
        return {'BUSY', int(now), 'open'}
    end
end

local generation = tonumber(account[AT.generation])
local new_generation = int(generation + 1)
local told = read_told(account)
told.account = '-'
-- Only the orphan goes, and only here; a refresh under way keeps its lock, and its answer will be an orphan.
redis.call('LREM', KEYS[4], 1, entry)
if account[AT.status] ~= 'reauth_required' and intent == nil then
    local replaced = 'replaced-' .. int(generation)
    redis.call(
        'RPUSH', KEYS[4],
        table.concat(
            {replaced, int(generation), int(now), 'replaced', ARGV[14], provider, new_generation, ARGV[13]}, ' '))
end
redis.call(
    'HSET', KEYS[1], 'generation', new_generation, 'access', ARGV[5], 'refresh', ARGV[6], 'token_type', ARGV[7],
    'expires_at', ARGV[8], 'obtained_at', ARGV[9], 'updated_at', int(now), 'due_at', ARGV[10], 'status', 'active',
    'failures', '0', 'next_attempt_at', '', 'fault_kind', '', 'fault_message', '', 'intent', '',
    'recent_attempts', with_recent(account, attempt), 'told', format_told(told))
if account[AT.enabled] == '1' then redis.call('ZADD', KEYS[3], ARGV[10], id) end
append_event(
    KEYS[5], now, 'type', 'token.restored', 'account', id, 'provider', provider, 'generation', new_generation,
    'attempt', attempt, 'instance', ARGV[14])
-- As after new credentials: memories are dropped, waiters and the scheduler wake.
announce(ARGV[15], new_generation, 'added', id)
return {'DONE', int(now), new_generation}
