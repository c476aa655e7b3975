-- Shared by the scripts of a pool's cool-downs, behind the prelude. CooldownText.swift says how they are written.
local function parse_cooldown(text)
    local since, ends, repeats, told, probe, cause =
        string.match(text or '', '^v1 (%d+) (%d+) (%d+) ([01]) (%S+) ?(.*)$')
    if not since then return nil end
    return {
        since = tonumber(since), ends = tonumber(ends), repeats = tonumber(repeats), told = told, probe = probe,
        cause = cause,
    }
end

-- One that has begun in the future was written before the clock was set back.
local function is_running(cooldown, now)
    return cooldown ~= nil and cooldown.ends > now and not is_ahead(cooldown.since, now)
end

-- The version of the last change stands beside the cool-downs. Instances tell by it which of two replies or announcements
-- is newer. It never falls, and where it is lost with all the rest the clock has gone on.
local VERSION = '#version'

local function load_cooldown(key, field)
    local text, version = unpack(redis.call('HMGET', key, field, VERSION))
    return text, tonumber(version or '0')
end

local function next_version(version, now)
    return math.max(version + 1, now)
end

local function announce_cooldown(channel, pool, field, version, text)
    redis.call('PUBLISH', channel, 'cooldown ' .. pool .. ' ' .. field .. ' ' .. int(version) .. ' ' .. text)
end

-- Writes it, tells of it, and returns it as it is written.
local function store_cooldown(key, channel, pool, field, version, cooldown)
    local text = string.format(
        'v1 %.0f %.0f %.0f %s %s %s', cooldown.since, cooldown.ends, cooldown.repeats, cooldown.told, cooldown.probe,
        cooldown.cause)
    redis.call('HSET', key, field, text, VERSION, int(version))
    announce_cooldown(channel, pool, field, version, text)
    return text
end
