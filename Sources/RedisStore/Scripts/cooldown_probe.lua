-- COOLDOWN PROBE: takes the one try that a running cool-down of guessed length allows when half of it is over.
-- KEYS  cooldowns, forgotten
-- ARGV  pool, field, attempt, channel
-- Reply {now, version, cool-down, or '' where there is no try to take}
local pool, field, attempt, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
local text, version = load_cooldown(KEYS[1], field)
local cooldown = parse_cooldown(text)
if not is_running(cooldown, now) or cooldown.told == '1' then return {int(now), int(version), ''} end
-- The reply to this very request was lost.
if cooldown.probe == attempt then return {int(now), int(version), text} end
if cooldown.probe ~= '-' or (now - cooldown.since) * 2 < cooldown.ends - cooldown.since then
    return {int(now), int(version), ''}
end
cooldown.probe = attempt
version = next_version(version, now)
return {int(now), int(version), store_cooldown(KEYS[1], channel, pool, field, version, cooldown)}
