-- COMMIT: writes generation g+1. Not lock ownership and not whose intent stands decides, but the generation: a late
-- holder still saves its token. Repeated after a lost reply it answers ALREADY.
-- KEYS  account, lock, due, events, pauses
-- ARGV  id, provider, attempt, generation, access, refresh, token type, expires at, obtained at, due at, origin,
--       recovery (0|1), channel, occasion (first|again|last), now on the committer's clock in ms (which
--       follows that of Redis), frugal (0|1): no lock to free, no event of a refresh,
--       grant expires at or '' to leave it, grant since, stage of the grant (0|1|2) or '' to leave it, when the grant
--       ends for the announcement or '', failures of the provider stand (0|1), what values begin with that are sealed
--       under the sealing key
-- Reply {word, now, detail}: enabled (0|1), and fourth '1' where the account has met a fault of its provider's
-- configuration before, which the fleet is to be told is over, and fifth the proxy where it is sealed under an older key;
-- for BEHIND the generation; for an orphan the generation that stands in its way, or '' for a removed account
local id, provider, attempt, generation = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local channel, occasion, now, frugal = ARGV[13], ARGV[14], tonumber(ARGV[15]), ARGV[16] == '1'

local account = load_only(KEYS[1], {
    'generation', 'removed', 'enabled', 'provider', 'recent_attempts', 'told', 'failures', 'grant_expires_at',
    'grant_since', 'grant_warned', 'proxy',
})
local told = read_told(account)
if not frugal then free_lock(KEYS[2], attempt) end
-- Also when later refreshes have followed: a journal that lost its note of the release in a power cut says it again.
if is_recent(account, attempt) then
    -- Written once more, so that a durability wait that follows covers it.
    redis.call('HSET', KEYS[1], 'recent_attempts', account[AT.recent_attempts])
    return {'ALREADY', int(now), account[AT.enabled] or '', told.provider == 'works' and '1' or ''}
end
local stored = tonumber(account[AT.generation] or '0')
if not exists(account) or stored ~= generation then
    -- It was in the store once, and what is there now came after it.
    if occasion == 'again' and stored >= generation then return {'SUPERSEDED', int(now), ''} end
    -- The store has lost generations in between: whoever holds them is waited for.
    if exists(account) and stored < generation and occasion ~= 'last' then return {'BEHIND', int(now), int(stored)} end
    return {'ORPHAN', int(now), exists(account) and int(stored) or ''}
end

local grant_end, grant_since, stage = ARGV[17], ARGV[18], ARGV[19]
if grant_end == '' then
    grant_end, grant_since = account[AT.grant_expires_at] or '', account[AT.grant_since] or ''
end
local announced = tonumber(account[AT.grant_warned]) or 0
if stage == '' then stage = int(announced) end
local new_generation = int(generation + 1)
-- Telling the fleet is a step of its own, which may be lost with its instance: the account's next refresh tells it again.
local still_told = {account = '-', provider = told.provider == 'misconfigured' and 'works' or '-'}
redis.call(
    'HSET', KEYS[1], 'generation', new_generation, 'access', ARGV[5], 'refresh', ARGV[6], 'token_type', ARGV[7],
    'expires_at', ARGV[8], 'obtained_at', ARGV[9], 'updated_at', int(now), 'due_at', ARGV[10], 'status', 'active',
    'failures', '0', 'next_attempt_at', '', 'fault_kind', '', 'fault_message', '', 'intent', '',
    'recent_attempts', with_recent(account, attempt), 'told', format_told(still_told), 'grant_expires_at', grant_end,
    'grant_since', grant_since, 'grant_warned', stage)
if account[AT.enabled] == '1' and account[AT.provider] == provider then
    redis.call('ZADD', KEYS[3], ARGV[10], id)
end
if not frugal then
    append_event(
        KEYS[4], now, 'type', 'token.refreshed', 'account', id, 'provider', provider, 'generation', new_generation,
        'instance', ARGV[11], 'recovery', ARGV[12])
end
if told.account ~= '-' then
    append_event(
        KEYS[4], now, 'type', 'token.refresh_recovered', 'account', id, 'provider', provider, 'generation',
        new_generation, 'cause', string.match(told.account, '[^,]+$'), 'failures', account[AT.failures] or '0', 'instance', ARGV[11])
end
if tonumber(stage) > announced then
    append_event(
        KEYS[4], now, 'type', 'account.grant_expiring', 'account', id, 'provider', provider, 'generation',
        new_generation, 'expires_at', ARGV[20], 'instance', ARGV[11])
end
announce(channel, new_generation, 'refreshed', id)
if ARGV[21] == '1' and note_answer(KEYS[5], provider) then announce_resumed(channel) end
local proxy, sealed_now = account[AT.proxy] or '', ARGV[22]
if string.sub(proxy, 1, #sealed_now) == sealed_now then proxy = '' end
return {'COMMITTED', int(now), account[AT.enabled], told.provider ~= '-' and '1' or '', proxy}
