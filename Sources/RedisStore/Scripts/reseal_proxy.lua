-- RESEAL PROXY: puts the same proxy under the sealing key, unless somebody has set another one meanwhile.
-- KEYS  account
-- ARGV  the sealed proxy as it was, as it is to be
-- Reply {resealed (0|1)}
if redis.call('HGET', KEYS[1], 'proxy') ~= ARGV[1] then return {0} end
redis.call('HSET', KEYS[1], 'proxy', ARGV[2])
return {1}
