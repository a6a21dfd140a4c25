-- One step of one process with one API key: reports what has ended, and asks for permits. Atomic, and on Redis's clock.
-- The rules and the constants in capitals are those of policy/limiter.py; script.py puts the constants before this text.
--
-- state:   tokens, the moment they were counted, the rate now, the gate, the last cut of the rate, 429s in a row;
--          the moment of the last step, and the seconds that Redis's clock was set back since the key is known
-- flights: lease -> the moment it ends by itself; so a process that was killed holds no slot for ever
-- line:    process -> the moment it is expected again; those come first who were told to come first
local state, flights, line = KEYS[1], KEYS[2], KEYS[3]
local per_second, burst, concurrency, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local who, name, want, queued = ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local saved = redis.call('HMGET', state, 'tokens', 'stamp', 'rate', 'gate', 'cut', 'throttles', 'seen', 'set_back')
local seen, set_back = tonumber(saved[7] or 0), tonumber(saved[8] or 0)
set_back = math.max(set_back, seen - now) -- for this script time never goes back, or nothing would be granted meanwhile
now = now + set_back
local tokens, stamp = tonumber(saved[1] or burst), tonumber(saved[2] or now)
local rate, gate = math.min(tonumber(saved[3] or per_second), per_second), tonumber(saved[4] or 0)
local cut, throttles = tonumber(saved[5] or 0), tonumber(saved[6] or 0)

local function refill()
  if now > stamp then
    tokens, stamp = math.min(burst, tokens + (now - stamp) * rate), now
  end
end

local function throttled(pause)
  if now - cut >= 1 then
    cut, rate, throttles = now, math.min(rate, math.max(MIN_RATE, rate * RATE_CUT)), throttles + 1
  end
  pause = pause or math.min(MAX_PAUSE, FIRST_PAUSE * 2 ^ math.min(math.max(throttles - 1, 0), 10))
  gate = math.max(gate, now + math.min(pause, MAX_RETRY_AFTER))
  tokens, stamp = math.min(tokens, 1), math.max(stamp, gate)
end

refill()
for at = 9, #ARGV, 3 do -- lease, outcome, and Retry-After or ''
  local held = redis.call('ZREM', flights, ARGV[at]) == 1 -- a report that comes twice counts once
  local outcome = ARGV[at + 1]
  if outcome == 'throttled' then
    throttled(tonumber(ARGV[at + 2]))
  elseif held and outcome == 'succeeded' then
    throttles, rate = 0, math.min(per_second, rate + RATE_STEP)
  elseif held and outcome == 'unused' then
    tokens = math.min(burst, tokens + 1)
  end
end
redis.call('ZREMRANGEBYSCORE', flights, '-inf', now)
redis.call('ZREMRANGEBYSCORE', line, '-inf', now - CLAIM_GRACE)

local free = concurrency - redis.call('ZCARD', flights)
local mine = redis.call('ZSCORE', line, who)
local ahead = mine and redis.call('ZCOUNT', line, '-inf', '(' .. mine) or redis.call('ZCARD', line)
local granted, wait = 0, 0
if now >= gate then
  granted = math.max(0, math.min(want, math.floor(tokens + ROUNDING) - ahead, free - ahead))
end
tokens, free = tokens - granted, free - granted
for number = 1, granted do
  redis.call('ZADD', flights, now + lease, name .. number)
end

if queued > granted then
  if granted > 0 then -- who had a turn goes to the end of the line
    ahead = redis.call('ZCARD', line) - (mine and 1 or 0)
  end
  wait = math.max(gate - now, 0) + math.max(ahead + 1 - tokens, 0) / rate
  if free <= ahead then -- when a slot will be free is not known: look again at the pace of the rate, but not often
    wait = math.max(wait, 1 / rate, MIN_RECHECK)
  end
  redis.call('ZADD', line, now + wait, who)
elseif mine then
  redis.call('ZREM', line, who)
end

redis.call('HSET', state, 'tokens', tokens, 'stamp', stamp, 'rate', rate, 'gate', gate, 'cut', cut, 'throttles', throttles)
redis.call('HSET', state, 'seen', now, 'set_back', set_back)
local pause = math.max(gate - now, 0)
local rest = burst / rate + 1 -- then a key that is not there is a key that rested
if rate < per_second or redis.call('EXISTS', flights, line) > 0 then -- the moments there are nothing without set_back
  rest = math.max(RATE_MEMORY, lease)
end
redis.call('PEXPIRE', state, math.ceil(1000 * (pause + rest)))
redis.call('PEXPIRE', flights, math.ceil(1000 * lease))
redis.call('PEXPIRE', line, 1000 * RATE_MEMORY)
return {granted, string.format('%.6f', wait), string.format('%.6f', rate), string.format('%.6f', pause), concurrency - free}
