-- PAUSE: what has been noted of a provider in the partition of one account, for the others.
-- KEYS  pauses
-- ARGV  provider, what (pause|failing|answering|first), pause ms or '', fault kind, fault message, attempt,
--       failures that open the circuit breaker or '', first pause ms, longest pause ms, jitter (0…1000)
-- Reply {now}
local now = now_ms()
local provider, what, pause_ms, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[6]
local cause = ARGV[4] .. ' ' .. ARGV[5]
if what == 'answering' then
    note_answer(KEYS[1], provider)
elseif what == 'first' then
    local pause, state = unpack(redis.call('HMGET', KEYS[1], provider, breaker_field(provider)))
    local breaker = parse_breaker(state)
    if breaker.trips > 0 and not parse_pause(pause, now) then
        go_first(KEYS[1], provider, now, pause, breaker, attempt, pause_ms)
    end
else
    if pause_ms then pause_provider(KEYS[1], provider, now, pause_ms, cause) end
    if what == 'failing' and ARGV[7] ~= '' then
        note_failure(
            KEYS[1], provider, now, attempt, cause, tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]),
            tonumber(ARGV[10]), pause_ms or 0)
    end
end
return {int(now)}
