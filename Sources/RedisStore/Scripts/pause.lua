-- PAUSE: a provider's pause, for a partition other than that of the account which was throttled.
-- KEYS  pauses
-- ARGV  provider, pause ms, fault kind, fault message
-- Reply {now}
local now = now_ms()
pause_provider(KEYS[1], ARGV[1], now, tonumber(ARGV[2]), ARGV[3] .. ' ' .. ARGV[4])
return {int(now)}
