-- LEADER CHANGED: tells once that another instance leads.
-- KEYS  fleet, events
-- ARGV  instance, epoch, channel
-- Reply {now, told (0|1)}
local instance, epoch = ARGV[1], ARGV[2]
local now = now_ms()
local known_epoch, leader = string.match(redis.call('HGET', KEYS[1], 'leader') or '', '^(%d+) (%S+)$')
if known_epoch and tonumber(known_epoch) >= tonumber(epoch) then return {int(now), 0} end
redis.call('HSET', KEYS[1], 'leader', epoch .. ' ' .. instance)
-- One that was started anew and has its own lease back has not changed.
if leader == instance then return {int(now), 0} end
append_event(
    KEYS[2], now, 'type', 'leader.changed', 'epoch', epoch, 'instance', instance, 'previous', leader or '')
announce_event(ARGV[3], KEYS[2])
return {int(now), 1}
