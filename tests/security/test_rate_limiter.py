import asyncio
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from shared.config.kinds import Allowance
from shared.exceptions import RateLimited, close_code
from shared.security import rate_limiter
from shared.security.gcra import Bucket
from shared.security.rate_limiter import bucket_key, limit_headers

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    "login": Allowance(5, 900),
    "register": Allowance(3, 3600),
    "upload": Allowance(20, 60),
    "search": Allowance(100, 60),
    "default": Allowance(7, 600),
}
ALICE, BOB = ("alice", "acme"), ("bob", "acme")


async def test_exactly_the_quota_passes_and_then_nothing(limiter):
    buckets = limiter.buckets("default", "192.0.2.1")

    allowed = [(await limiter.use("default", buckets)).allowed for _ in range(10)]

    assert allowed == [True] * 7 + [False] * 3


async def test_what_was_used_comes_back_bit_by_bit(limiter):
    quick = [Bucket(bucket_key("default", "address", str(uuid4())), Allowance(5, 1))]
    for _ in range(5):
        assert (await limiter.use("default", quick)).allowed
    refused = await limiter.use("default", quick)
    assert not refused.allowed
    assert 0 < refused.tightest.wait <= 0.2

    await asyncio.sleep(refused.tightest.wait + 0.01)

    assert (await limiter.use("default", quick)).allowed


async def test_addresses_users_and_creators_are_counted_apart(limiter):
    for _ in range(7):
        await limiter.use("default", limiter.buckets("default", "192.0.2.1"))

    assert not (await limiter.use("default", limiter.buckets("default", "192.0.2.1"))).allowed
    assert (await limiter.use("default", limiter.buckets("default", "192.0.2.2"))).allowed


async def test_a_user_cannot_evade_by_changing_the_address(limiter):
    for number in range(7):
        assert (await limiter.use("default", limiter.buckets("default", f"192.0.2.{number}", ALICE))).allowed

    assert not (await limiter.use("default", limiter.buckets("default", "192.0.2.99", ALICE))).allowed


async def test_a_creator_is_counted_over_all_its_users(limiter):
    for number in range(7):
        who = (f"user-{number}", "acme")
        assert (await limiter.use("default", limiter.buckets("default", f"192.0.2.{number}", who))).allowed

    assert not (await limiter.use("default", limiter.buckets("default", "192.0.2.99", BOB))).allowed
    assert (await limiter.use("default", limiter.buckets("default", "192.0.2.99", ("bob", "umbrella")))).allowed


async def test_a_refusal_by_one_bucket_uses_up_no_other(limiter):
    for _ in range(7):
        await limiter.use("default", limiter.buckets("default", "192.0.2.1"))
    for _ in range(20):
        refused = await limiter.use("default", limiter.buckets("default", "192.0.2.1", ALICE))
        assert not refused.allowed

    decision = await limiter.use("default", limiter.buckets("default", "192.0.2.2", ALICE))

    assert decision.allowed
    assert {state.remaining for state in decision.states} == {6}


async def test_all_buckets_take_one_round_trip(limiter, messages):
    buckets = limiter.buckets("default", "192.0.2.1", ALICE)
    await limiter.use("default", buckets)  # loads the script and opens the connection
    messages.clear()

    await limiter.use("default", buckets)

    assert len(buckets) == 3
    assert len(messages) == 1
    assert b"EVALSHA" in messages[0]


async def test_names_of_limits_do_not_share_a_bucket(limiter):
    for _ in range(7):
        await limiter.use("default", limiter.buckets("default", "192.0.2.1"))

    assert (await limiter.use("search", limiter.buckets("search", "192.0.2.1"))).allowed


async def test_an_action_can_be_given_back(limiter):
    buckets = limiter.buckets("register", "192.0.2.1")
    for _ in range(10):
        assert (await limiter.use("register", buckets)).allowed
        await limiter.give_back("register", buckets)

    decision = await limiter.use("register", buckets)

    assert decision.tightest.remaining == 2


async def test_giving_back_cannot_make_more_than_a_quota(limiter):
    buckets = limiter.buckets("register", "192.0.2.1")
    for _ in range(10):
        await limiter.give_back("register", buckets)

    assert [(await limiter.use("register", buckets)).allowed for _ in range(4)] == [True, True, True, False]


async def test_many_at_once_get_exactly_the_quota(limiter, monkeypatch):
    monkeypatch.setattr(rate_limiter, "_TIMEOUT_SECONDS", 60)  # this is about counting, on however busy a machine
    quota = 100
    buckets = [Bucket(bucket_key("search", "address", "192.0.2.1"), Allowance(quota, 360_000))]

    decisions = await asyncio.gather(*(limiter.use("search", buckets) for _ in range(300)))

    allowed = sum(decision.allowed for decision in decisions)
    assert allowed == quota
    assert not limiter.degraded


HAMMER = """
import asyncio, sys
from django.conf import settings
from redis.asyncio.connection import Connection
settings.configure(SECRET_KEY="x" * 50)
from shared.security.rate_limiter import Allowance, Bucket, RateLimiter

async def hammer(url, key):
    limiter = RateLimiter(url, {})
    bucket = [Bucket(key, Allowance(50, 36_000))]
    return [(await limiter.use("default", bucket)).allowed for _ in range(40)]

print(sum(asyncio.run(hammer(*sys.argv[1:]))))
"""


def test_many_processes_together_get_exactly_the_quota():
    key = bucket_key("default", "address", "192.0.2.1")
    command = [sys.executable, "-c", HAMMER, settings.REDIS_URL, key]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    allowed = [int(process.communicate(timeout=120)[0]) for process in processes]

    assert sum(allowed) == 50


async def test_a_bucket_from_the_future_is_full_but_not_closed_for_ever(limiter):
    """Redis's clock went back by a day."""
    buckets = limiter.buckets("default", "192.0.2.1")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(buckets[0].key, int((time.time() + 86_400) * 1_000_000))

    refused = await limiter.use("default", buckets)

    assert not refused.allowed
    assert refused.tightest.wait <= 600 / 7 + 1


async def test_nonsense_in_a_bucket_is_an_empty_bucket(limiter):
    buckets = limiter.buckets("default", "192.0.2.1")
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(buckets[0].key, "nonsense")

    assert (await limiter.use("default", buckets)).allowed


async def test_a_bucket_goes_when_all_is_paid_back(limiter):
    buckets = [Bucket(bucket_key("default", "address", "192.0.2.1"), Allowance(10, 1))]
    await limiter.use("default", buckets)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert 0 < client.pttl(buckets[0].key) <= 100


def test_keys_hold_no_address_no_account_and_one_slot():
    key = bucket_key("login", "pair", "192.0.2.1\x1falice@acme.test")

    assert "192" not in key.replace(key.rpartition(":")[2], "")
    assert "alice" not in key
    assert key.startswith("{limits}:login:pair:")
    assert key != bucket_key("login", "address", "192.0.2.1\x1falice@acme.test")


async def test_the_headers_tell_the_tightest_bucket(limiter):
    for _ in range(3):
        await limiter.use("default", limiter.buckets("default", "192.0.2.2", ALICE))
    decision = await limiter.use("default", limiter.buckets("default", "192.0.2.1", ALICE))

    headers = limit_headers("default", decision)

    assert headers["RateLimit-Policy"] == '"default";q=7;w=600'
    assert headers["RateLimit"].startswith('"default";r=3;t=')
    assert 0 < int(headers["RateLimit"].rpartition("=")[2]) <= 600


# ---- Sign-in


async def test_sign_in_is_counted_for_the_pair_of_address_and_account(limiter):
    for _ in range(5):
        await limiter.check_login("192.0.2.1", "alice@acme.test")

    with pytest.raises(RateLimited) as refused:
        await limiter.check_login("192.0.2.1", " ALICE@acme.test ")
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 900
    assert refused.value.headers["RateLimit-Policy"] == '"login";q=5;w=900'

    await limiter.check_login("192.0.2.1", "bob@acme.test")
    await limiter.check_login("192.0.2.2", "alice@acme.test")  # nobody else can lock Alice out


async def test_one_ipv6_customer_cannot_try_from_many_addresses(limiter):
    for number in range(5):
        await limiter.check_login(f"2001:db8::{number}", "alice@acme.test")

    with pytest.raises(RateLimited):
        await limiter.check_login("2001:db8::99", "alice@acme.test")


async def test_an_account_with_odd_characters_is_counted_too(limiter):
    for _ in range(5):
        await limiter.check_login("192.0.2.1", "a\ud800\x00\x1f")

    with pytest.raises(RateLimited):
        await limiter.check_login("192.0.2.1", "a\ud800\x00\x1f")


async def test_sockets_are_counted_as_they_open(limiter):
    scope = {"client": ("192.0.2.1", 1), "headers": []}
    for _ in range(7):
        await limiter.check_socket(scope, ALICE)

    with pytest.raises(RateLimited) as refused:
        await limiter.check_socket(scope, ALICE)

    assert close_code(refused.value) == 4429
