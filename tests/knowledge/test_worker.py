import asyncio
import os
import signal
from contextlib import suppress
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from procrastinate import exceptions
from procrastinate.contrib.django import app as hub_jobs
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.psycopg_connector import PsycopgConnector
from structlog.testing import capture_logs

from apps.knowledge.management.commands import worker
from apps.knowledge.operations import upload_document
from apps.knowledge.services.documents import get_document
from shared.tenancy.run import run_as, run_global

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def direct(settings, monkeypatch):
    """The worker's own connection goes to the database of the tests, and a dead worker is noticed quickly."""
    made = connection.settings_dict
    host = f"{quote(made['HOST'], safe='')}:{made['PORT']}" if not made["HOST"].startswith("/") else ""
    socket = f"?host={quote(made['HOST'], safe='')}" if made["HOST"].startswith("/") else ""
    login = f"{made['USER']}:{made['PASSWORD']}"
    settings.DATABASE_DIRECT_URL = f"postgresql://{login}@{host}/{made['NAME']}{socket}"
    monkeypatch.setenv("JOB_STALLED_SECONDS", "2")


async def working(story):
    """Run the worker while a story is told; it must end by itself when it is told to."""
    serving = asyncio.create_task(worker.serve(2))
    try:
        async with asyncio.timeout(60):
            await asyncio.sleep(0.1)
            await story()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 20)


async def bring(person, content):
    return await upload_document(person.actor, SimpleUploadedFile("notes.txt", content))


async def becomes(person, document, status):
    while True:
        found = await run_as(person.actor, get_document, document_id=document.id)
        if found.status == status:
            return found
        await asyncio.sleep(0.1)


def test_a_queued_document_becomes_ready_and_its_job_goes(alice):
    async def story():
        await becomes(alice, await bring(alice, b"Refunds are paid."), "ready")

    asyncio.run(working(story))

    assert not ProcrastinateJob.objects.filter(status__in=["todo", "doing"]).exists()


def test_the_job_of_a_dead_worker_is_taken_up(alice):
    def die_with_it():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
            cursor.execute(
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id)"
                " FROM procrastinate_workers)"
            )

    asyncio.run(_before_the_worker(alice, die_with_it))


async def _before_the_worker(alice, die_with_it):
    document = await bring(alice, b"Refunds are paid.")
    await run_global(die_with_it)

    async def story():
        await becomes(alice, document, "ready")

    await working(story)


def test_lost_connections_are_made_again(alice):
    def cut():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
            )

    async def story():
        await becomes(alice, await bring(alice, b"one"), "ready")
        await run_global(cut)
        await asyncio.sleep(0.5)
        await becomes(alice, await bring(alice, b"two"), "ready")

    asyncio.run(working(story))


def test_a_queue_that_is_away_is_asked_again(monkeypatch):
    lives = []

    async def life(stop, concurrency, stalled):
        lives.append(concurrency)
        if len(lives) == 1:
            raise exceptions.ConnectorException
        stop.set()

    monkeypatch.setattr(worker, "_work", life)
    monkeypatch.setattr(worker, "_RECONNECT_SECONDS", 0.01)
    call_command("worker", concurrency=3)

    assert lives == [3, 3]


def test_a_job_that_another_worker_healed_first_is_left(monkeypatch):
    class Job:
        id, task_name, attempts, priority = 1, "t", 0, 0

    class Manager:
        pruned = 0

        async def get_stalled_jobs(self, **options):
            return [Job]

        async def retry_job(self, job, **options):
            raise exceptions.ConnectorException

        async def prune_stalled_workers(self, **options):
            Manager.pruned += 1
            if Manager.pruned == 2:
                raise RuntimeError("enough")

    class Jobs:
        job_manager = Manager()

    with pytest.raises(RuntimeError):
        asyncio.run(worker._heal(Jobs, 0.02))
    assert Manager.pruned == 2


@pytest.mark.parametrize(("priority", "afterwards"), [(-3, -13), (0, 0)])
def test_a_version_whose_worker_died_lets_others_go_first(alice, settings, priority, afterwards):
    asyncio.run(bring(alice, b"What a worker died of, or not."))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
        )
        dead = cursor.fetchone()
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s, priority = %s", [*dead, priority]
        )

    async def heal_for_a_moment():
        jobs = hub_jobs.with_connector(PsycopgConnector(conninfo=settings.DATABASE_DIRECT_URL))
        async with jobs.open_async():
            with suppress(TimeoutError):
                await asyncio.wait_for(worker._heal(jobs, 2), 1)

    asyncio.run(heal_for_a_moment())

    (job,) = ProcrastinateJob.objects.all()
    assert (job.status, job.priority) == ("todo", afterwards)


def test_what_ended_badly_is_logged():
    async def fail():
        raise RuntimeError

    async def story():
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        await worker._end(task)

    with capture_logs() as lines:
        asyncio.run(story())

    assert [(line["event"], line["error"]) for line in lines] == [("worker_ended", "RuntimeError")]
