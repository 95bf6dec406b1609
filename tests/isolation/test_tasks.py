"""Jobs: each carries its creator, runs in that scope and no other, and exists exactly when its row does."""

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge.models import Document
from apps.knowledge.services.documents import get_document, update_document
from apps.knowledge.tasks import process_version
from shared.exceptions import NotFound
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as
from shared.tenancy.scope import NoCreatorInScope, ScopeSwitch, creator_scope, current_creator
from shared.tenancy.tasks import TenantTask, tenant_task
from tests.isolation.evidence import belongings_of
from tests.isolation.worker import work_until_done
from tests.tenancy.tools import bind, connect

pytestmark = pytest.mark.django_db(transaction=True)
seen = []


@tenant_task("tests.look")
async def look(actor, *, document_id):
    """Note the scope, and what the document is called there."""
    document = await run_as(actor, get_document, document_id=document_id)
    seen.append((current_creator(), document.title))


@tenant_task("tests.fail")
async def fail(actor, *, document_id):
    """Note the scope, and break."""
    seen.append((current_creator(), "broken"))
    raise LookupError("on purpose")


@app.task(name="tests.outside")
async def outside():
    """Note the scope of a job that is nobody's."""
    seen.append((current_creator(), "nobody's"))


@tenant_task("tests.rename")
async def rename(actor, *, document_id):
    """Change a document."""
    await run_as(actor, update_document, document_id=document_id, title="Renamed by a job")


# Jobs that belong to no creator, each with the reason.
ON_THE_CLOCK = {
    "knowledge.tend": "looks at every creator, each in a scope and a transaction of their own",
    "knowledge.sweep": "deletes unclaimed files, each creator's in their own scope",
    "knowledge.trim_searches": "forgets old searches, each creator's in a scope and transactions of their own",
}


def test_every_job_carries_its_creator_or_is_listed_with_a_reason():
    own = {name: task for name, task in app.tasks.items() if name.startswith("knowledge.")}
    carried = {name for name, task in own.items() if isinstance(getattr(task.func, "__self__", None), TenantTask)}

    assert carried
    assert set(own) - carried == set(ON_THE_CLOCK)


@pytest.fixture(autouse=True)
def empty_queue(transactional_db):
    """The queue's tables are not Django's to empty after a test."""
    seen.clear()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")


def deferred(person, task, things, thing="handbook"):
    """Queue a task as a service of this person's creator would."""
    return async_to_sync(run_as)(person.actor, lambda actor: task.defer(actor, document_id=things[thing]))


def queue():
    return list(ProcrastinateJob.objects.order_by("id"))


def test_a_job_runs_in_its_creators_scope(alice, mallory, acme_world, umbrella_world):
    deferred(alice, look, acme_world.things)
    deferred(mallory, look, umbrella_world.things)

    work_until_done()

    assert [creator for creator, _ in seen] == [alice.creator.id, mallory.creator.id]
    assert acme_world.words_in(seen[0][1])
    assert acme_world.words_in(seen[1][1]) == []


def test_the_scope_is_gone_between_two_jobs_even_after_one_that_broke(alice, mallory, acme_world, umbrella_world):
    for person, world in ((alice, acme_world), (mallory, umbrella_world)):
        deferred(person, fail, world.things)
        app.configure_task("tests.outside").defer()

    work_until_done()

    assert [creator for creator, _ in seen] == [alice.creator.id, None, mallory.creator.id, None]
    assert current_creator() is None


def test_jobs_of_two_creators_at_the_same_time_never_mix(alice, mallory, acme_world, umbrella_world):
    for _ in range(8):
        deferred(alice, look, acme_world.things)
        deferred(mallory, look, umbrella_world.things)

    work_until_done(concurrency=4)

    assert len(seen) == 16
    for creator, title in seen:
        assert bool(acme_world.words_in(title)) == (creator == alice.creator.id)


def test_a_job_that_names_another_creators_document_touches_nothing(mallory, alice, acme_world, umbrella_world):
    """As if somebody had written a row of the queue by hand."""
    before = belongings_of(acme_world.creator_id)
    for task in (rename, look):
        deferred(mallory, task, acme_world.things)
    version = acme_world.things["version"]
    async_to_sync(run_as)(mallory.actor, lambda actor: process_version.defer(actor, version_id=version))

    work_until_done()

    assert seen == []
    assert belongings_of(acme_world.creator_id) == before
    jobs = {job.task_name: job.status for job in queue()}
    assert jobs["tests.rename"] == jobs["tests.look"] == "failed"


@pytest.mark.parametrize(
    "carried",
    [
        {},
        {"user_id": "x", "creator_id": "", "role": "owner"},
        {"user_id": "x", "creator_id": "not-a-uuid", "role": "owner"},
        {"creator_id": "' OR 1=1 --", "user_id": "x", "role": "owner"},
    ],
)
def test_a_job_without_a_creator_does_not_run(acme_world, carried):
    with transaction.atomic():
        app.configure_task("tests.look").defer(actor=carried, document_id=acme_world.things["handbook"])

    work_until_done()

    assert seen == []
    assert [job.status for job in queue()] == ["failed"]


def test_a_job_is_queued_by_the_creator_it_serves_only(alice, mallory, acme_world):
    def on_behalf_of_somebody_else(actor):
        look.defer(alice.actor, document_id=acme_world.things["handbook"])

    with pytest.raises(ScopeSwitch):
        async_to_sync(run_as)(mallory.actor, on_behalf_of_somebody_else)
    with pytest.raises(NoCreatorInScope):
        look.defer(alice.actor, document_id=acme_world.things["handbook"])
    assert queue() == []


def test_a_job_is_queued_inside_a_transaction_only(alice, acme_world):
    with creator_scope(alice.creator.id), pytest.raises(RuntimeError):
        look.defer(alice.actor, document_id=acme_world.things["handbook"])

    assert queue() == []


def test_a_job_is_gone_with_the_transaction_that_queued_it(alice, acme_world):
    def service(actor):
        look.defer(actor, document_id=acme_world.things["handbook"])
        update_document(actor, document_id=acme_world.things["handbook"], title="Never seen")
        raise LookupError("after it was queued")

    before = belongings_of(acme_world.creator_id)
    with pytest.raises(LookupError):
        async_to_sync(run_as)(alice.actor, service)

    assert queue() == []
    assert belongings_of(acme_world.creator_id) == before


def test_another_connection_sees_job_and_row_at_the_same_moment(alice, acme_world):
    """Neither before the commit, both after it."""
    during = []

    def both():
        with connect() as other:
            bind(other, alice.creator.id)
            of_look = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'tests.look'"
            jobs = other.execute(of_look).fetchone()[0]
            return jobs, other.execute("SELECT count(*) FROM knowledge_document WHERE title = 'Now'").fetchone()[0]

    def service(actor):
        look.defer(actor, document_id=acme_world.things["handbook"])
        update_document(actor, document_id=acme_world.things["handbook"], title="Now")
        during.append(both())

    async_to_sync(run_as)(alice.actor, service)

    assert during == [(0, 0)]
    assert both() == (1, 1)


def test_the_queue_holds_ids_and_none_of_the_creators_words(client, alice, acme_world):
    """Whatever makes the hub queue something: the row of the queue belongs to nobody, so it names nothing."""
    from tests.isolation.operations import CALLS, every_operation

    for operation in every_operation():
        call = CALLS[str(operation)]
        if operation.method in ("POST", "DELETE") and "/auth" not in operation.path:
            operation.send(client, call, acme_world.things, **alice.headers)

    names = {job.task_name for job in queue()}
    with connection.cursor() as cursor:
        cursor.execute("SELECT j::text, e::text FROM procrastinate_jobs j, procrastinate_events e")
        text = " ".join(part for row in cursor.fetchall() for part in row)
    assert {"knowledge.process_version", "knowledge.remove_file", "knowledge.unpack_archive"} <= names
    assert "knowledge.run_golden_questions" in names
    assert acme_world.words_in(text) == []
    assert "Notes" not in text
    ids = {"version_id", "document_id", "import_id", "run_id"}
    assert {key for job in queue() for key in job.args} <= {"actor", "path"} | ids


def test_a_job_carries_no_secret_and_no_more_than_ids_and_a_role(alice):
    carried = alice.actor.to_job()

    assert set(carried) == {"user_id", "creator_id", "role"}
    assert Actor.from_job(carried).creator_id == alice.creator.id


def test_reading_a_missing_document_in_a_job_is_the_same_as_a_foreign_one(mallory, acme_world, nothing):
    for things in (acme_world.things, nothing):
        with pytest.raises(NotFound, match="No such document"):
            async_to_sync(run_as)(mallory.actor, get_document, document_id=things["handbook"])
    with creator_scope(acme_world.creator_id):
        assert Document.objects.filter(id=acme_world.things["handbook"]).exists()
