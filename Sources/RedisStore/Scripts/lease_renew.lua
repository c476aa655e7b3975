-- KEYS  leader      ARGV  instance, epoch, ttl ms
-- Reply 1 when the lease is still this instance's, else 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ' ' .. ARGV[2] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
