"""What servers hold while they are under load: memory, threads, files, connections; and whether it levels off."""

import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import redis

_EVERY_SECONDS = 2
_MIB = 1024 * 1024
# The first part of a run warms the servers up. Growth is looked for between the halves of the rest.
_WARM_UP_SHARE = 1 / 3
# Servers go on settling for minutes: pools of threads, connections and memory fill up to their bounds.
SETTLED_AFTER_SECONDS = 300
_GROWTH = 1.03
_SLACK = {"MiB": 8.0, "threads": 2.0, "files": 10.0, "connections": 2.0}


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure over the run. `early` and `late` are medians of the two halves after the warm-up."""

    name: str
    early: float
    late: float
    most: float
    judged: bool

    @property
    def grew(self) -> bool:
        unit = self.name.rpartition(" ")[2]
        return self.judged and self.late > self.early * _GROWTH + _SLACK[unit]

    def __str__(self) -> str:
        verdict = "grew" if self.grew else "level" if self.judged else "not judged in so short a run"
        return f"{self.name}: {self.early:.0f}, then {self.late:.0f}, at most {self.most:.0f}: {verdict}"


class Gauges:
    """Reads every gauge each two seconds."""

    def __init__(self, processes: dict[str, psutil.Process], owner_url: str, redis_url: str) -> None:
        self._processes = processes
        self._owner_url = owner_url
        self._redis = redis.Redis.from_url(redis_url)
        self._samples: list[dict[str, float]] = []
        self._began = time.monotonic()

    async def keep_reading(self) -> None:
        """Until it is cancelled."""
        while True:
            self._samples.append(await asyncio.to_thread(self._read))
            await asyncio.sleep(_EVERY_SECONDS)

    def summary(self) -> list[Gauge]:
        """Each gauge over the run so far."""
        judged = time.monotonic() - self._began >= SETTLED_AFTER_SECONDS
        rest = self._samples[int(len(self._samples) * _WARM_UP_SHARE) :]
        half = len(rest) // 2
        return [
            Gauge(
                name,
                early=statistics.median(one[name] for one in rest[:half]),
                late=statistics.median(one[name] for one in rest[half:]),
                most=max(one[name] for one in self._samples),
                judged=judged,
            )
            for name in rest[0]
        ]

    def _read(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, root in self._processes.items():
            sums = [0.0, 0.0, 0.0]
            for one in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):  # it parsed a document, and is done
                    held = (one.memory_full_info().uss / _MIB, one.num_threads(), one.num_fds())
                    sums = [before + more for before, more in zip(sums, held, strict=True)]
            found |= {f"{name} MiB": sums[0], f"{name} threads": sums[1], f"{name} files": sums[2]}
        with psycopg.connect(self._owner_url) as owner:
            count = owner.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'hub_app'").fetchone()
        found["Postgres connections"] = count[0] if count else 0
        clients: dict[str, Any] = self._redis.info("clients")  # type: ignore[assignment]
        found["Redis connections"] = clients["connected_clients"]
        return found
