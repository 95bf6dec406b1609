"""Numbers for Prometheus. No label names a creator, a user or a document.

With several processes each would count for itself, and a scrape would hit one of them by chance. They share files in
`PROMETHEUS_MULTIPROC_DIR` (the client library's own name for it; the launcher empties it at every start), and the
scrape adds them up.
"""

import asyncio
import hmac
import ipaddress
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from shared.config.env_constants import get_env_value
from shared.exceptions import PermissionDenied

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_requests = Counter("hub_http_requests", "HTTP requests answered.", ["method", "route", "status"])
_seconds = Histogram(
    "hub_http_request_seconds",
    "How long answers took, streaming apart.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)


class MetricsAreNotPublic(PermissionDenied):
    """Metrics are for this machine, or for a bearer of METRICS_TOKEN."""

    code = "metrics_not_public"


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer. `status` is counted by its class (`2xx`), a made-up method as `other`."""
    requests, took = _series(method if method in _METHODS else "other", route, f"{status // 100}xx")
    requests.inc()
    took.observe(seconds)


@lru_cache(maxsize=1024)
def _series(method: str, route: str, status: str) -> tuple[Counter, Histogram]:
    """The series of these labels: the client library looks each up behind a lock."""
    return _requests.labels(method, route, status), _seconds.labels(method, route)


async def metrics(request: HttpRequest) -> HttpResponse:
    """What was counted, in Prometheus's text format. 403 for anybody from outside without the token."""
    if not (_has_token(request) or _is_local(request)):
        raise MetricsAreNotPublic
    registry: CollectorRegistry = REGISTRY
    if folder := get_env_value("PROMETHEUS_MULTIPROC_DIR", fallback=True):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    # On a thread: with many processes it reads and adds up their files.
    return HttpResponse(await asyncio.to_thread(generate_latest, registry), content_type=CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    token = get_env_value("METRICS_TOKEN", fallback=True)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _is_local(request: HttpRequest) -> bool:
    """From this very machine. A request that a proxy passed on only looks as if it were."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
