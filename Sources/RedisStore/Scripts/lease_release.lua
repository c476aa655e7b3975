-- KEYS  leader      ARGV  instance, epoch, channel
-- Reply 1 when it was this instance's and is free now, else 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ' ' .. ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[3], 'leader released')
return 1
