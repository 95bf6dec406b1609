"""Probes. `live` says that the event loop turns; `ready` really asks what requests need."""

import asyncio
import time
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from redis.asyncio import Redis

from shared.tenancy.policies import role_findings
from shared.tenancy.run import run_global

log = structlog.get_logger(__name__)

_SECONDS = 2.0
_OLDEST_JOB = """
SELECT coalesce(extract(epoch FROM now() - min(coalesce(j.scheduled_at, e.at))), 0)::float8, count(*)
  FROM procrastinate_jobs j
  LEFT JOIN LATERAL (SELECT min(at) AS at FROM procrastinate_events WHERE job_id = j.id AND type = 'deferred') e ON true
 WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
"""


async def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return HttpResponse(b'{"status":"live"}', content_type="application/json")


async def ready(request: HttpRequest) -> HttpResponse:
    """200 `ready`; 200 `degraded` without Redis; 503 `unavailable` without Postgres or with an unfit role.

    Also says how old the oldest waiting job is, in seconds: a queue that only grows has no worker.
    """
    postgres, redis = await asyncio.gather(_postgres(), _redis())
    status = "unavailable" if not postgres["ok"] else "ready" if redis["ok"] else "degraded"
    body = {"status": status, "postgres": postgres, "redis": redis}
    if status != "ready":
        log.warning("not_ready", status=status, postgres=postgres["ok"], redis=redis["ok"])
    return HttpResponse(
        orjson.dumps(body), status=503 if status == "unavailable" else 200, content_type="application/json"
    )


async def _postgres() -> dict[str, Any]:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_SECONDS):
            findings, oldest, waiting = await run_global(_ask)
    except Exception as error:  # whatever went wrong, the probe's answer is the same
        return {"ok": False, "problem": type(error).__name__}
    return {
        "ok": not findings,
        "ms": round((time.perf_counter() - started) * 1000, 1),
        "role_fit": not findings,
        "jobs_waiting": waiting,
        "oldest_job_seconds": round(oldest, 1),
    }


def _ask() -> tuple[list[Any], float, int]:
    with connection.cursor() as cursor:
        findings = role_findings(cursor)
        cursor.execute(_OLDEST_JOB)
        oldest, waiting = cursor.fetchone()
    return findings, oldest, waiting


async def _redis() -> dict[str, Any]:
    started = time.perf_counter()
    client = Redis.from_url(settings.REDIS_URL, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    try:
        async with asyncio.timeout(_SECONDS):
            await client.ping()
    except Exception as error:
        return {"ok": False, "problem": type(error).__name__}
    finally:
        await client.aclose()
    return {"ok": True, "ms": round((time.perf_counter() - started) * 1000, 1)}
