-- SETTLE (ABORT and the other ends without tokens): puts an attempt to rest.
-- KEYS  account, lock, due, orphans, events, pauses
-- ARGV  id, provider, attempt, generation, disposition (released|refused|unresolved|limited), fault kind, fault message,
--       retry after ms, pause ms or '', channel, origin, frugal (0|1): no lock to free, fingerprint of the refused token
--       or '', health of the provider (unknown|answering|failing), failures that open its circuit breaker or '' for
--       none, first pause ms, longest pause ms, jitter (0…1000), failures of the provider stand (0|1)
-- Reply {word, now, snapshot}
local id, provider, attempt, generation, disposition = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local kind, message, retry_ms, pause_ms, channel = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]

local account = load(KEYS[1])
local now = now_ms()
if ARGV[12] ~= '1' then free_lock(KEYS[2], attempt) end
if pause_ms ~= '' then pause_provider(KEYS[6], provider, now, tonumber(pause_ms), kind .. ' ' .. message) end
local fingerprint, health = ARGV[13], ARGV[14]
if health == 'failing' and ARGV[15] ~= '' then
    note_failure(
        KEYS[6], provider, now, attempt, kind .. ' ' .. message, tonumber(ARGV[15]), tonumber(ARGV[16]),
        tonumber(ARGV[17]), tonumber(ARGV[18]), tonumber(pause_ms) or 0)
elseif health == 'answering' and ARGV[19] == '1' and note_answer(KEYS[6], provider) then
    announce_resumed(channel)
end
if not exists(account) then return {'MISSING', int(now), account} end
if fingerprint ~= '' then
    local known = redis.call('HGET', KEYS[1], 'refused')
    redis.call('HSET', KEYS[1], 'refused', with_refused(known, fingerprint, now))
end
if tonumber(account[AT.generation]) ~= generation then return {'MOVED', int(now), account} end
local intent = parse_intent(account)
-- Repeated after a lost reply, or overtaken by a recovery: nothing is left to settle.
if not intent or intent.attempt ~= attempt then return {'SETTLED', int(now), account} end

local status, due = account[AT.status], now + retry_ms
local new_intent = ''
-- A throttled provider says nothing about the account.
local blames = kind ~= 'throttled'
if disposition == 'released' or disposition == 'limited' then
    if intent.resends > 0 then
        -- The re-send was not spent either, but the first spend is as unresolved as before. The mark is no attempt's own
        -- any more: a repeat of this settlement would take it for a first spend and clear it.
        intent.resends, intent.state = intent.resends - 1, 'ambiguous'
        intent.attempt = attempt .. ':released'
        new_intent = format_intent(intent)
    end
    if blames and disposition == 'released' then status = 'degraded' end
elseif disposition == 'refused' then
    if redis.call('LLEN', KEYS[4]) == 0 then
        status, due = 'reauth_required', nil
    else
        -- The mark stands, so that the refused token is not sent again while a person decides on the orphan.
        status, intent.state, intent.resends = 'degraded', 'refused', math.max(intent.resends, 1)
        new_intent = format_intent(intent)
    end
else
    -- What was refused stays refused, however often the account is put off.
    if intent.state ~= 'refused' then intent.state = 'ambiguous' end
    new_intent = format_intent(intent)
    status = 'degraded'
end

-- Nobody has failed: the fleet itself keeps to the provider's limit.
if disposition == 'limited' then
    local slot = int(due)
    redis.call(
        'HSET', KEYS[1], 'next_attempt_at', slot, 'due_at', slot, 'intent', new_intent, 'updated_at', int(now))
    if account[AT.provider] == provider and account[AT.enabled] == '1' then redis.call('ZADD', KEYS[3], slot, id) end
    return {'SETTLED', int(now), load(KEYS[1])}
end

local failures = tonumber(account[AT.failures]) or 0
if blames then failures = failures + 1 end
local outcome = status == 'reauth_required' and 'refused' or 'failed'
-- News is a change of state and not each try, so each cause is told once, however they alternate. What is wrong with a
-- provider is told once for all of its accounts.
local told, event = read_told(account), nil
if outcome == 'refused' then
    event = 'account.reauthorization_required'
elseif kind == 'misconfigured' then
    told.provider = kind
elseif kind ~= 'throttled' then
    local causes = with_cause(told.account, kind)
    if causes then event, told.account = 'token.refresh_failed', causes end
end
local due_text = due and int(due) or ''
redis.call(
    'HSET', KEYS[1], 'status', status, 'failures', int(failures), 'next_attempt_at', due_text, 'due_at', due_text,
    'fault_kind', kind, 'fault_message', message, 'intent', new_intent, 'updated_at', int(now), 'told',
    format_told(told))
if account[AT.provider] == provider then
    if due and account[AT.enabled] == '1' then
        redis.call('ZADD', KEYS[3], due_text, id)
    else
        redis.call('ZREM', KEYS[3], id)
    end
end
if event then
    append_event(
        KEYS[5], now, 'type', event, 'account', id, 'provider', provider, 'generation', account[AT.generation],
        'cause', kind, 'message', message, 'instance', ARGV[11])
end
announce(channel, account[AT.generation], outcome, id)
return {'SETTLED', int(now), load(KEYS[1])}
