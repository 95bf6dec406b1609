"""`manage.py worker`: do the jobs, heal what a dead worker left, outlive a restart of Postgres."""

import asyncio
import signal
from contextlib import suppress
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from procrastinate import App, exceptions
from procrastinate.contrib.django import app as hub_jobs
from procrastinate.psycopg_connector import PsycopgConnector

from apps.knowledge.extraction import sandbox
from shared.config.env_constants import get_env_value
from shared.tenancy.checks import refuse_unfit_database

log = structlog.get_logger(__name__)

# Errors of the queue's own connection; psycopg's are wrapped in the first.
_QUEUE_ERRORS = (exceptions.ConnectorException, *settings.DATABASE_ERRORS)
_RECONNECT_SECONDS = 1.0
# A job that is still running when the worker is told to stop gets this long; then it is put back in the queue.
_GRACE_SECONDS = 5.0
# How far behind a version goes when its worker died; see `next_turn`.
_TURNS_BEHIND = 10


class Command(BaseCommand):
    """Runs as hub_app until SIGTERM or Ctrl-C. Any number of workers may run, on any number of machines."""

    help = "Process documents: take jobs from the queue, heal what a dead worker left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=get_env_value("WORKER_CONCURRENCY", fallback=True))

    def handle(self, *args: Any, concurrency: int, **options: Any) -> None:
        refuse_unfit_database()
        sandbox.hide_memory()
        if missing := sandbox.missing_protection():
            log.warning("sandbox_incomplete", missing=missing)
        connections.close_all()  # the jobs have connections of their own
        asyncio.run(serve(concurrency))


async def serve(concurrency: int) -> None:
    """Work until told to stop; when the queue's database goes away, wait for it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stalled = get_env_value("JOB_STALLED_SECONDS", fallback=True)
    while not stop.is_set():
        try:
            await _work(stop, concurrency, stalled)
        except _QUEUE_ERRORS as error:
            log.warning("queue_away", error=type(error).__name__)
        if not stop.is_set():
            # The worker also ends by itself when one of its side tasks lost the connection.
            await _pause(stop, _RECONNECT_SECONDS)


async def _work(stop: asyncio.Event, concurrency: int, stalled: int) -> None:
    """One life of the queue's worker on one set of connections. Raises when they are lost."""
    connector = PsycopgConnector(
        conninfo=settings.DATABASE_DIRECT_URL,
        # One for LISTEN, the others for fetching and finishing jobs.
        min_size=1,
        max_size=concurrency + 3,
        timeout=5,
        reconnect_timeout=5,
    )
    # An app of its own on that connector: services called by tasks go on queueing in their own transactions.
    jobs = hub_jobs.with_connector(connector)
    async with jobs.open_async():
        healer = asyncio.create_task(_heal(jobs, stalled))
        worker = asyncio.create_task(
            jobs.run_worker_async(
                concurrency=concurrency,
                install_signal_handlers=False,
                # Three missed heartbeats make a worker dead.
                update_heartbeat_interval=stalled / 3,
                stalled_worker_timeout=stalled,
                fetch_job_polling_interval=2.0,
                shutdown_graceful_timeout=_GRACE_SECONDS,
                # Finished jobs would only pile up: what became of a document is in its own rows.
                delete_jobs="successful",
            )
        )
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({healer, worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if healer.done():
                healer.result()
        finally:
            await _end(worker, healer, stopping)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Stop all; a job that was running finishes within its grace or goes back to the queue."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            log.warning("worker_ended", error=type(result).__name__)


async def _heal(jobs: App, stalled: int) -> None:
    """Put the jobs of dead workers back in the queue, at the start and every few seconds."""
    while True:
        for job in await jobs.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled):
            log.warning("job_healed", job=job.id, task=job.task_name, attempts=job.attempts)
            with suppress(exceptions.ConnectorException):  # another worker's healer was faster
                await jobs.job_manager.retry_job(job, priority=_priority_after_death(job.priority))
        await jobs.job_manager.prune_stalled_workers(seconds_since_heartbeat=stalled)
        await asyncio.sleep(min(3.0, stalled / 2))


def _priority_after_death(priority: int) -> int:
    """A version whose worker died lets others go first: it may be why, and if not, the next death should hit another.

    Else workers that are killed again and again would always be at the same few, until those count as poison. Jobs
    that stand in no line keep their priority.
    """
    return priority - _TURNS_BEHIND if priority < 0 else priority


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
