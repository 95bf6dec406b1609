import asyncio
from pathlib import Path

import pytest
import redis
import structlog
from asgiref.sync import async_to_sync
from django.conf import settings

from shared.config.kinds import Allowance
from shared.exceptions import RateLimited
from shared.redis_line import RedisLine
from shared.security import rate_limiter
from shared.security.gcra import Bucket, LocalBuckets
from shared.security.rate_limiter import RateLimiter, limit_headers

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    "login": Allowance(5, 900),
    "register": Allowance(3, 3600),
    "upload": Allowance(20, 60),
    "search": Allowance(100, 60),
    "default": Allowance(7, 600),
}
ALICE, BOB = ("alice", "acme"), ("bob", "acme")


# ---- Without Redis


async def test_without_redis_everything_but_sign_in_is_open(dead_url):
    limiter = RateLimiter(dead_url, LIMITS)
    decisions = [await limiter.use("default", limiter.buckets("default", "192.0.2.1")) for _ in range(20)]

    assert all(decision.allowed for decision in decisions)
    assert limit_headers("default", decisions[-1]) == {}
    assert limiter.degraded


@pytest.mark.parametrize(("processes", "share"), [("1", 5), ("2", 2), ("9", 1)])
async def test_without_redis_each_process_has_its_share_of_sign_ins(dead_url, monkeypatch, processes, share):
    monkeypatch.setenv("WEB_WORKERS", processes)
    limiter = RateLimiter(dead_url, LIMITS)
    for _ in range(share):
        await limiter.check_login("192.0.2.1", "alice@acme.test")

    with pytest.raises(RateLimited):
        await limiter.check_login("192.0.2.1", "alice@acme.test")
    await limiter.check_login("192.0.2.1", "bob@acme.test")


async def test_a_dead_redis_is_asked_once_and_not_by_every_request(dead_url, monkeypatch):
    limiter = RateLimiter(dead_url, LIMITS)
    connected = []
    line = limiter._line
    monkeypatch.setattr(limiter, "_line", lambda: connected.append(1) or line())

    for _ in range(50):
        await limiter.use("default", limiter.buckets("default", "192.0.2.1"))

    assert len(connected) == 1


async def test_a_silent_redis_is_given_up_after_a_few_answers(hanging_url, monkeypatch):
    monkeypatch.setattr(rate_limiter, "_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(rate_limiter, "_TRY_AGAIN_AFTER_SECONDS", 60)
    limiter = RateLimiter(hanging_url, LIMITS)
    connected = []
    line = limiter._line
    monkeypatch.setattr(limiter, "_line", lambda: connected.append(1) or line())

    for _ in range(20):
        assert (await limiter.use("default", limiter.buckets("default", "192.0.2.1"))).allowed

    assert len(connected) == rate_limiter._SLOW_ANSWERS_TO_GIVE_UP
    assert limiter.degraded


async def test_a_crowd_that_finds_redis_silent_does_not_wait_in_turn(hanging_url, monkeypatch):
    monkeypatch.setattr(rate_limiter, "_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(rate_limiter, "_TRY_AGAIN_AFTER_SECONDS", 60)
    limiter = RateLimiter(hanging_url, LIMITS)
    attempts = []
    connect = RedisLine._make_connection
    monkeypatch.setattr(RedisLine, "_make_connection", lambda line: attempts.append(1) or connect(line))
    buckets = limiter.buckets("default", "192.0.2.1")

    decisions = await asyncio.gather(*(limiter.use("default", buckets) for _ in range(100)))

    assert all(decision.allowed for decision in decisions)
    assert len(attempts) == 1
    assert limiter.degraded


async def test_a_single_slow_answer_degrades_nothing(hanging_url, monkeypatch):
    monkeypatch.setattr(rate_limiter, "_TIMEOUT_SECONDS", 0.05)
    limiter = RateLimiter(hanging_url, LIMITS)

    await limiter.use("default", limiter.buckets("default", "192.0.2.1"))

    assert not limiter.degraded


async def test_the_limiter_comes_back_with_redis_and_says_each_change_once(dead_url, monkeypatch):
    monkeypatch.setattr(rate_limiter, "_TRY_AGAIN_AFTER_SECONDS", 0.05)
    limiter = RateLimiter(dead_url, LIMITS)
    buckets = limiter.buckets("default", "192.0.2.1")
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            await limiter.use("default", buckets)
            await asyncio.sleep(0.06)
        assert limiter.degraded

        limiter._url, limiter._by_loop = settings.REDIS_URL, {}  # Redis is back
        await asyncio.sleep(0.06)
        allowed = [(await limiter.use("default", buckets)).allowed for _ in range(9)]

    assert not limiter.degraded
    assert allowed == [True] * 7 + [False] * 2
    assert [line["event"] for line in lines] == ["limits_degraded", "limits_restored"]
    await limiter.close()


async def test_a_script_that_redis_forgot_is_sent_again(limiter):
    buckets = limiter.buckets("default", "192.0.2.1")
    await limiter.use("default", buckets)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.script_flush()

    decision = await limiter.use("default", buckets)

    assert decision.tightest.remaining == 5
    assert not limiter.degraded


async def test_connections_that_redis_closed_are_opened_again(limiter):
    buckets = limiter.buckets("default", "192.0.2.1")
    await limiter.use("default", buckets)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.client_kill_filter(_type="normal", skipme=True)

    assert (await limiter.use("default", buckets)).allowed
    assert not limiter.degraded


def test_callers_on_loops_of_their_own_share_the_limit_and_leave_no_loop_behind():
    limiter = RateLimiter(limits=LIMITS)
    buckets = limiter.buckets("default", "192.0.2.1")

    allowed = [async_to_sync(limiter.use)("default", buckets).allowed for _ in range(9)]
    allowed += [asyncio.run(limiter.use("default", buckets)).allowed for _ in range(2)]

    assert allowed == [True] * 7 + [False] * 4
    assert len(limiter._by_loop) == 1


def test_memory_holds_only_so_many_buckets():
    local = LocalBuckets(most=10)
    for number in range(50):
        local.use([Bucket(str(number), Allowance(1, 60))])

    assert len(local._arrivals) == 10
    assert not local.use([Bucket("49", Allowance(1, 60))]).allowed


def test_in_memory_too_a_refusal_uses_up_no_other_bucket():
    local = LocalBuckets()
    tight, wide = Bucket("tight", Allowance(1, 60)), Bucket("wide", Allowance(9, 60))
    local.use([tight])

    assert not local.use([tight, wide]).allowed
    assert local.use([wide]).tightest.remaining == 8
