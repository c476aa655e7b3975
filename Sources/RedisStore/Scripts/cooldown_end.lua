-- COOLDOWN END: a call has worked: what is over is forgotten, and what is running if the call was its probe. Or somebody
-- releases them, running or not.
-- KEYS  cooldowns, forgotten
-- ARGV  pool, channel, what (worked|released), attempt or '', field…
-- Reply {now, version, field…}: worked: those that there are not (any more); released: those that there were
local pool, channel, is_worked, attempt = ARGV[1], ARGV[2], ARGV[3] == 'worked', ARGV[4]
local now = now_ms()
local fields = {}
for index = 5, #ARGV do fields[#fields + 1] = ARGV[index] end
fields[#fields + 1] = VERSION
local texts = redis.call('HMGET', KEYS[1], unpack(fields))
local version = tonumber(texts[#texts] or '0')
local ended, answer = {}, {}
for index = 1, #fields - 1 do
    local field, text = fields[index], texts[index]
    local cooldown = parse_cooldown(text)
    if text and not (is_worked and is_running(cooldown, now) and cooldown.probe ~= attempt) then
        ended[#ended + 1] = field
        answer[#answer + 1] = field
    elseif not text and is_worked then
        answer[#answer + 1] = field
    end
end
if #ended > 0 then
    version = next_version(version, now)
    redis.call('HDEL', KEYS[1], unpack(ended))
    redis.call('ZREM', KEYS[2], unpack(ended))
    redis.call('HSET', KEYS[1], VERSION, int(version))
    for _, field in ipairs(ended) do announce_cooldown(channel, pool, field, version, '-') end
end
return {int(now), int(version), unpack(answer)}
