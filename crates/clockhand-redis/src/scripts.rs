//! The scripts, each of which is one step for the server.
//!
//! A value is stored by a transaction, which is one step as well. Every answer begins with the
//! server's time in microseconds and a status. A script that writes is told until when it may take effect, by the server's
//! clock, and changes nothing after that: a write whose caller was told of a timeout does not happen later.
//!
//! `d` is the key of the value, `m` that of the *marker*. A load that finds no value has put a random token there, and its
//! value is stored only if the token is still there. Every insert and removal deletes the marker, so it stops all loads
//! that began before it. A marker that the server has evicted stops them as well.

use redis::{Pipeline, Script};

use crate::claims::ClaimScripts;

/// What a script answers after the time. 2: the server has refused the value, and its error follows.
pub(crate) mod status {
    /// Nothing was done: the deadline was over.
    pub(crate) const LATE: i64 = 0;
    /// Done; or a value.
    pub(crate) const DONE: i64 = 1;
    /// No value. The token follows, and whether it is the caller's own.
    pub(crate) const MISS: i64 = 3;
    /// As `MISS`: there is a value that is larger than allowed.
    pub(crate) const TOO_LARGE: i64 = 4;
    /// The marker has another token, or there is none.
    pub(crate) const FENCED: i64 = 5;
}

/// A script that knows the server's time, as `now`.
macro_rules! timed {
    ($body:expr) => {
        concat!("local t = redis.call('TIME')\nlocal now = t[1] * 1000000 + t[2]\n", $body)
    };
}

/// A script that does nothing after its deadline, which is its first argument.
macro_rules! in_time {
    ($body:expr) => {
        $crate::scripts::timed!(concat!(
            "if now >= tonumber(ARGV[1]) then\n  return {now, 0}\nend\n",
            $body
        ))
    };
}

/// A script that can tell whether a value is valid: that of a generation, all of whose tags have the stamps that it says.
macro_rules! judged {
    ($body:literal) => {
        concat!(
            r"local function is_valid(value, generation, tags)
  if string.sub(value, 9, 16) ~= generation or #value < 32 then
    return false
  end
  local at, last = 33, 32 + string.byte(value, 7) + 256 * string.byte(value, 8)
  while at < last do
    local low, high = string.byte(value, at, at + 1)
    if not high then
      return false
    end
    local stamp = at + 2 + low + 256 * high
    local tag = string.sub(value, at + 2, stamp - 1)
    if redis.pcall('GET', tags .. tag) ~= string.sub(value, stamp, stamp + 7) then
      return false
    end
    at = stamp + 8
  end
  return true
end
",
            $body
        )
    };
}

pub(crate) use {in_time, timed};

/// `ARGV`: generation, token or nothing, milliseconds that the marker lives, milliseconds that a value outlives its time,
/// most bytes, whether a value that is there is to be disregarded, what the keys of tags begin with, milliseconds that a
/// tag lives, and for each tag of a load its name and a new stamp. After a miss it answers how many tags are new, and the
/// stamps of all.
const GET: &str = timed!(judged!(
    r"local miss = 3
if ARGV[6] == '0' then
  local size = redis.pcall('STRLEN', KEYS[1])
  if type(size) == 'number' and size > 0 then
    if size > tonumber(ARGV[5]) then
      miss = 4
    else
      local left = redis.call('PTTL', KEYS[1])
      if left > tonumber(ARGV[4]) or left == -1 then
        local value = redis.call('GET', KEYS[1])
        if value and is_valid(value, ARGV[1], ARGV[7]) then
          return {now, 1, value, left}
        end
      end
    end
  end
end
if ARGV[2] == '' then
  return {now, miss, '', 0, 0}
end
local answer = {now, miss, '', 0, 0}
for nth = 9, #ARGV, 2 do
  local name = ARGV[7] .. ARGV[nth]
  local stamp = redis.pcall('GET', name)
  if type(stamp) ~= 'string' then
    stamp = ARGV[nth + 1]
    if redis.pcall('SET', name, stamp, 'PX', ARGV[8]).err then
      return {now, miss, '', 0, 0}
    end
    answer[5] = answer[5] + 1
  end
  answer[#answer + 1] = stamp
end
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'string' then
  answer[3], answer[4] = held, held == ARGV[2] and 1 or 0
elseif not redis.pcall('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]).err then
  answer[3], answer[4] = ARGV[2], 1
end
return answer
"
));

/// `ARGV`: generation, milliseconds that a value outlives its time, most bytes of a value, what the keys of tags begin with,
/// most bytes of all values. Answers for each key a value and its milliseconds; or nothing and -3, if it is too large, -4, if
/// there was no room for it in the answer, or 0.
const GET_MANY: &str = timed!(judged!(
    r"local answer, room = {now, 1}, tonumber(ARGV[5])
for nth = 1, #KEYS do
  local value, left = '', 0
  local size = redis.pcall('STRLEN', KEYS[nth])
  if type(size) == 'number' and size > 0 then
    if size > tonumber(ARGV[3]) then
      left = -3
    elseif size > room then
      left = -4
    else
      local lives = redis.call('PTTL', KEYS[nth])
      if lives > tonumber(ARGV[2]) or lives == -1 then
        local held = redis.call('GET', KEYS[nth])
        if held and is_valid(held, ARGV[1], ARGV[4]) then
          value, left, room = held, lives, room - size
        end
      end
    end
  end
  answer[#answer + 1] = value
  answer[#answer + 1] = left
end
return answer
"
));

/// Whether a value may be stored; it is, by a plain `SET` of a key that is not there (`NX`), in the same transaction. `ARGV`:
/// deadline, token, which is empty for an insert. If it may, there is no such key afterwards. If it may not, there is one:
/// an empty one, which `AFTER` removes, where there was none.
///
/// The value is not stored by the script itself, as the server takes a script for a client of its own: it would tell an
/// instance of its own values in spite of `NOLOOP`, and so throw each of them out of the first tier. The server looks at
/// its limit of memory when it begins a transaction, and not in its midst.
const BEFORE: &str = timed!(
    r"if now >= tonumber(ARGV[1]) or (ARGV[2] ~= '' and redis.pcall('GET', KEYS[2]) ~= ARGV[2]) then
  redis.call('SET', KEYS[1], '', 'NX', 'PX', 1000)
  return {now, now >= tonumber(ARGV[1]) and 0 or 5}
end
redis.call('DEL', KEYS[1], KEYS[2])
return {now, 1}
"
);

const AFTER: &str = r"
if redis.pcall('STRLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
end
return 1
";

/// `ARGV`: deadline.
const REMOVE: &str = in_time!(
    r"redis.call('DEL', KEYS[1], KEYS[2])
return {now, 1}
"
);

/// `ARGV`: token. Gives a lease back.
const RELEASE: &str = timed!(
    r"if redis.pcall('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return {now, 1}
"
);

/// `ARGV`: the server's run id, a new generation. Answers the generation of this run of the server.
const GENERATION: &str = timed!(
    r"local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and string.sub(held, 1, -9) == ARGV[1] then
  return {now, 1, string.sub(held, -8)}
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2])
return {now, 1, ARGV[2]}
"
);

/// `ARGV`: deadline, the server's run id, a new generation.
const ADVANCE: &str = in_time!(
    r"redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3])
return {now, 1}
"
);

/// The scripts with their hashes.
pub(crate) struct Scripts {
    pub(crate) get: Script,
    pub(crate) get_many: Script,
    pub(crate) remove: Script,
    pub(crate) release: Script,
    pub(crate) generation: Script,
    pub(crate) advance: Script,
    pub(crate) claims: ClaimScripts,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            get: Script::new(GET),
            get_many: Script::new(GET_MANY),
            remove: Script::new(REMOVE),
            release: Script::new(RELEASE),
            generation: Script::new(GENERATION),
            advance: Script::new(ADVANCE),
            claims: ClaimScripts::new(),
        }
    }
}

/// The transaction that stores a value under `value`, whose marker is `marker`. Its scripts are sent as texts: one that the
/// server does not know would not stop the rest of the transaction.
pub(crate) fn store(
    (value, marker): (&[u8], &[u8]),
    sealed: &[u8],
    ttl: u64,
    deadline: u64,
    token: &[u8],
) -> Pipeline {
    let mut stores = redis::pipe();
    stores.atomic();
    stores.cmd("EVAL").arg(BEFORE).arg(2).arg(value).arg(marker).arg(deadline).arg(token);
    stores.cmd("SET").arg(value).arg(sealed).arg("NX").arg("PX").arg(ttl);
    stores.cmd("EVAL").arg(AFTER).arg(1).arg(value);
    stores
}
