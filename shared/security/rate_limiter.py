"""Limits on how often something may happen, exact over all processes, and never the reason that the hub is down.

One Redis round trip decides about all buckets of a request. Without Redis, sign-in and registration are limited by
each process for itself, more strictly, and everything else is open: an attacker gains little, and nobody else loses.
"""

import asyncio
import hashlib
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from shared.config.env_constants import get_env_value
from shared.config.kinds import Allowance
from shared.exceptions import RateLimited
from shared.redis_line import RedisLine
from shared.security.addresses import client_address_of_socket, network_of
from shared.security.gcra import SCRIPT, Bucket, Decision, LocalBuckets, read_answer, script_arguments

log = structlog.get_logger(__name__)

LOGIN, REGISTER, UPLOAD, SEARCH, DEFAULT = "login", "register", "upload", "search", "default"
# What a stranger could abuse while Redis is away.
GUARDED_WITHOUT_REDIS = frozenset({LOGIN, REGISTER})

# A user and a creator, by whatever names them: an id, or a text.
type Identity = tuple[object | None, object | None]

# A healthy Redis answers in well under a millisecond, on a machine with nothing else to do.
_TIMEOUT_SECONDS = 1.0
# By which Redis knows the script.
_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
# One slow answer may be our own event loop's doing; a refused connection is not.
_SLOW_ANSWERS_TO_GIVE_UP = 3
_TRY_AGAIN_AFTER_SECONDS = 2.0


@lru_cache(maxsize=1)
def configured_limits() -> Mapping[str, Allowance]:
    """The named limits, from LIMIT_LOGIN and its like."""
    names = (LOGIN, REGISTER, UPLOAD, SEARCH, DEFAULT)
    return {name: get_env_value(f"LIMIT_{name.upper()}", fallback=True) for name in names}


def bucket_key(limit: str, kind: str, value: object) -> str:
    """Where a bucket lives in Redis. The value is hashed under SECRET_KEY: addresses and accounts are personal.

    These keys carry the creator as a value of its own kind, not as a scope: a request is counted before anybody
    knows whether it may enter one. The braces keep all buckets of a request on one node of a Redis Cluster, where
    a script may only touch one slot.
    """
    return _bucket_key(limit, kind, value, settings.SECRET_KEY)


@lru_cache(maxsize=8192)
def _bucket_key(limit: str, kind: str, value: object, secret: str) -> str:
    key = hashlib.sha256(secret.encode()).digest()
    digest = hashlib.blake2b(f"{kind}\x1f{value}".encode("utf-8", "surrogatepass"), key=key, digest_size=16)
    return f"{{limits}}:{limit}:{kind}:{digest.hexdigest()}"


class RateLimiter:
    """The hub's limits. One instance per process (`limiter`), safe from any event loop.

    `degraded` is True while Redis does not answer.
    """

    def __init__(self, url: str | None = None, limits: Mapping[str, Allowance] | None = None) -> None:
        self._url = url
        self._limits = limits
        self._by_loop: dict[asyncio.AbstractEventLoop, RedisLine] = {}
        self._local = LocalBuckets()
        self._silent_until = 0.0
        self._slow_answers = 0
        self.degraded = False

    @property
    def limits(self) -> Mapping[str, Allowance]:
        """The allowance of each named limit."""
        return configured_limits() if self._limits is None else self._limits

    def buckets(self, limit: str, address: str, identity: Identity = (None, None)) -> tuple[Bucket, ...]:
        """The buckets that a request uses: its address, and where they are known its user and creator."""
        allowance = self.limits[limit]
        user_id, creator_id = identity
        named = (("address", network_of(address)), ("user", user_id), ("creator", creator_id))
        return tuple(Bucket(bucket_key(limit, kind, value), allowance) for kind, value in named if value)

    async def use(self, limit: str, buckets: Sequence[Bucket]) -> Decision:
        """Use one action of every bucket, or of none if any of them is empty. Never raises for want of Redis."""
        return await self._decide(limit, buckets, 1)

    async def give_back(self, limit: str, buckets: Sequence[Bucket]) -> None:
        """Undo one `use`."""
        await self._decide(limit, buckets, -1)

    async def check_login(self, address: str, account: str) -> None:
        """Count one attempt to sign in to `account` from `address`. Raises RateLimited (429).

        Call it before the password is looked at, whether the account exists or not.
        """
        pair = f"{network_of(address)}\x1f{account.strip().casefold()}"
        await self._require(LOGIN, [Bucket(bucket_key(LOGIN, "pair", pair), self.limits[LOGIN])])

    async def check_upload(self, user_id: str, creator_id: str) -> None:
        """Count one file of a page's form, which may hold many. Raises RateLimited (429)."""
        await self._require(UPLOAD, self.buckets(UPLOAD, "", (user_id, creator_id))[1:])

    async def check_socket(self, scope: dict[str, Any], identity: Identity = (None, None)) -> None:
        """Count one websocket that is being opened. Raises RateLimited, whose close code is 4429."""
        await self._require(DEFAULT, self.buckets(DEFAULT, client_address_of_socket(scope), identity))

    async def close(self) -> None:
        """Close this event loop's connections."""
        line = self._by_loop.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.close()

    async def _require(self, limit: str, buckets: Sequence[Bucket]) -> None:
        decision = await self.use(limit, buckets)
        if not decision.allowed:
            raise refusal(limit, decision)

    async def _decide(self, limit: str, buckets: Sequence[Bucket], step: int) -> Decision:
        answer = await self._ask(buckets, step) if self._may_ask() else None
        return self._decide_alone(limit, buckets, step) if answer is None else read_answer(buckets, answer)

    def _may_ask(self) -> bool:
        """While Redis is away one request tries now and then; until it knows, the others do without."""
        now = time.monotonic()
        if now < self._silent_until:
            return False
        if self.degraded:
            self._silent_until = now + _TRY_AGAIN_AFTER_SECONDS
        return True

    async def _ask(self, buckets: Sequence[Bucket], step: int) -> list[int] | None:
        keys = [bucket.key for bucket in buckets]
        arguments: tuple[Any, ...] = (len(keys), *keys, *script_arguments(buckets, step))
        line = self._line()
        try:
            try:
                answer = await self._run_script(line, arguments)
            except RedisConnectionError:  # Redis may have been restarted just now: once more at once, never a pause
                answer = await self._run_script(line, arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            return None
        self._answered()
        return answer

    async def _run_script(self, line: RedisLine, arguments: tuple[str | int, ...]) -> list[int]:
        try:
            answer: list[int] = await line.send("EVALSHA", _SHA, *arguments)
        except NoScriptError:  # the first time, and when Redis was restarted
            answer = await line.send("EVAL", SCRIPT, *arguments)
        return answer

    def _decide_alone(self, limit: str, buckets: Sequence[Bucket], step: int) -> Decision:
        if limit not in GUARDED_WITHOUT_REDIS:
            return Decision(True, ())
        # Every process counts for itself, so each gets its share.
        processes = get_env_value("WEB_WORKERS", fallback=True)
        strict = [
            Bucket(bucket.key, bucket.allowance._replace(quota=max(1, bucket.allowance.quota // processes)))
            for bucket in buckets
        ]
        return self._local.use(strict, step)

    def _failed(self, error: Exception) -> None:
        refused = isinstance(error, (RedisConnectionError, ResponseError, ConnectionError))
        self._slow_answers += 1
        if refused or self.degraded or self._slow_answers >= _SLOW_ANSWERS_TO_GIVE_UP:
            self._silent_until = time.monotonic() + _TRY_AGAIN_AFTER_SECONDS
            if not self.degraded:
                self.degraded = True
                log.error("limits_degraded", reason="Redis does not answer", error=type(error).__name__)

    def _answered(self) -> None:
        self._slow_answers = 0
        if self.degraded:
            self.degraded = False
            self._silent_until = 0.0
            log.info("limits_restored")

    def _line(self) -> RedisLine:
        """The line of this event loop: a connection cannot move from one loop to another."""
        loop = asyncio.get_running_loop()
        line = self._by_loop.get(loop)
        if line is None:
            self._forget_closed_loops()
            line = self._by_loop[loop] = RedisLine(self._url or settings.REDIS_URL, patience=_TIMEOUT_SECONDS)
        return line

    def _forget_closed_loops(self) -> None:
        """A sync caller's loop lives for one call. Its connections cannot be closed in order any more."""
        for loop in [loop for loop in list(self._by_loop) if loop.is_closed()]:
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                self._by_loop.pop(loop, None)


def refusal(limit: str, decision: Decision) -> RateLimited:
    """The error for a decision that says no, with the seconds to wait and the limit's headers."""
    state = decision.tightest
    wait = state.wait if state else 1.0
    return RateLimited(retry_after=wait, headers=limit_headers(limit, decision))


def limit_headers(limit: str, decision: Decision) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` for the tightest bucket (draft-ietf-httpapi-ratelimit-headers-10).

    q: actions in a window, w: the window's seconds, r: actions left, t: seconds until all are back.
    """
    state = decision.tightest
    if state is None:
        return {}
    quota, window = state.bucket.allowance
    return {
        "RateLimit-Policy": f'"{limit}";q={quota};w={window}',
        "RateLimit": f'"{limit}";r={state.remaining};t={math.ceil(state.reset)}',
    }


limiter = RateLimiter()
