-- WATCH SERVER: notes a failover as soon as somebody is back after one, so that its quarantine begins then.
-- KEYS  pauses
-- Reply {now, since when this server has been in charge, or 0}
local now = now_ms()
return {int(now), int(watch_server(KEYS[1], now))}
