"""A limiter of one's own, and Redis that is dead or silent."""

import socket
from pathlib import Path

import pytest

from shared.config.kinds import Allowance
from shared.redis_line import RedisLine
from shared.security.rate_limiter import RateLimiter

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    "login": Allowance(5, 900),
    "register": Allowance(3, 3600),
    "upload": Allowance(20, 60),
    "search": Allowance(100, 60),
    "default": Allowance(7, 600),
}
ALICE, BOB = ("alice", "acme"), ("bob", "acme")


@pytest.fixture
async def limiter():
    limiter = RateLimiter(limits=LIMITS)
    yield limiter
    await limiter.close()


@pytest.fixture
def dead_url():
    """Nobody listens here."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture
def hanging_url():
    """Somebody listens and never says a word."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


@pytest.fixture
def messages(monkeypatch):
    """What is sent to Redis by a limiter, a packet each."""
    sent = []
    flush = RedisLine._flush

    def counted(line):
        sent.append(b"".join(line._unsent))
        flush(line)

    monkeypatch.setattr(RedisLine, "_flush", counted)
    return sent
