"""The arithmetic of a limit: GCRA, for many processes in Redis and for one process in memory.

A bucket is one number, the theoretical arrival time: when all that was used so far will have been paid back.
An action adds `window / quota` to it, and is refused if it would then lie more than a window ahead.
Source: ITU-T I.371, annex A (virtual scheduling).
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from shared.config.kinds import Allowance

_MICROSECONDS = 1_000_000

# All buckets of a request or none: a refusal by one must not use up the others.
# The clock is Redis's own, so web processes need not agree on the time. A bucket further ahead than a window
# (Redis's clock went back, or the limit was made tighter) counts as full, not as closed for longer.
# ARGV: step (1: use, -1: give back), then window and interval of each bucket in microseconds.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step = tonumber(ARGV[1])
local stored = redis.call('MGET', unpack(KEYS))
local before, after, allowed = {}, {}, 1
for i = 1, #KEYS do
  local window, interval = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local arrival = tonumber(stored[i] or 0) or 0
  before[i] = math.min(math.max(arrival, now), now + window)
  after[i] = math.max(before[i] + step * interval, now)
  if after[i] - now > window then allowed = 0 end
end
local answer = {allowed}
for i = 1, #KEYS do
  local window = tonumber(ARGV[2 * i])
  if allowed == 1 then
    local ahead = after[i] - now
    if ahead > 0 then
      redis.call('SET', KEYS[i], string.format('%.0f', after[i]), 'PX', math.ceil(ahead / 1000))
    else
      redis.call('DEL', KEYS[i])
    end
    answer[#answer + 1] = ahead
  else
    answer[#answer + 1] = before[i] - now
  end
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one key may still do: so many actions in so many seconds."""

    key: str
    allowance: Allowance

    @property
    def window(self) -> int:
        """In microseconds."""
        return self.allowance.window * _MICROSECONDS

    @property
    def interval(self) -> int:
        """Microseconds that one action costs. Rounded down, so that a whole quota always fits in its window."""
        return max(1, self.window // self.allowance.quota)

    def state(self, ahead: int) -> "State":
        """What `ahead` microseconds of use mean."""
        remaining = max(0, (self.window - ahead) // self.interval)
        wait = max(0, ahead + self.interval - self.window)
        return State(self, min(remaining, self.allowance.quota), wait / _MICROSECONDS, ahead / _MICROSECONDS)


@dataclass(frozen=True, slots=True)
class State:
    """A bucket after a decision. `wait` until one more action is allowed, `reset` until all are, in seconds."""

    bucket: Bucket
    remaining: int
    wait: float
    reset: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an action may happen, and what each of its buckets has left."""

    allowed: bool
    states: tuple[State, ...]

    @property
    def tightest(self) -> State | None:
        """The bucket that matters to the client: the one to wait for, or the one that is empty first."""
        return max(self.states, key=lambda state: (state.wait, -state.remaining), default=None)


def script_arguments(buckets: Sequence[Bucket], step: int) -> list[int]:
    """ARGV of `SCRIPT`."""
    return [step, *(number for bucket in buckets for number in (bucket.window, bucket.interval))]


def read_answer(buckets: Sequence[Bucket], answer: Sequence[int]) -> Decision:
    """The decision in the script's answer."""
    states = tuple(bucket.state(int(ahead)) for bucket, ahead in zip(buckets, answer[1:], strict=True))
    return Decision(bool(answer[0]), states)


class LocalBuckets:
    """The same for one process, when there is no Redis. Holds the latest `most` buckets."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._arrivals: OrderedDict[str, int] = OrderedDict()

    def use(self, buckets: Sequence[Bucket], step: int = 1) -> Decision:
        """Use one action of every bucket, or of none. Runs on the event loop, so nothing comes between."""
        now = time.monotonic_ns() // 1000
        before = [max(self._arrivals.get(bucket.key, 0), now) for bucket in buckets]
        after = [max(arrival + step * bucket.interval, now) for bucket, arrival in zip(buckets, before, strict=True)]
        allowed = all(arrival - now <= bucket.window for bucket, arrival in zip(buckets, after, strict=True))
        if allowed:
            for bucket, arrival in zip(buckets, after, strict=True):
                self._arrivals[bucket.key] = arrival
                self._arrivals.move_to_end(bucket.key)
            while len(self._arrivals) > self._most:
                self._arrivals.popitem(last=False)
        arrivals = after if allowed else before
        states = (bucket.state(arrival - now) for bucket, arrival in zip(buckets, arrivals, strict=True))
        return Decision(allowed, tuple(states))
