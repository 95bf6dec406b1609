"""Golden questions in tests: pin, change, and do what the worker would do with the run that waits."""

from uuid import UUID

from asgiref.sync import async_to_sync
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge import regression
from apps.knowledge.models import GoldenRun
from apps.knowledge.services.golden_runs import begin_run
from shared.tenancy.models import Event
from shared.tenancy.run import run_as
from shared.tenancy.scope import creator_scope

URL = "/api/v1/golden-questions"


def pin(client, person, question, document, chunk=None, **headers):
    body = {"question": question, "document_id": str(document.id), "chunk_id": chunk}
    return client.post(URL, body, content_type="application/json", headers={**person.headers, **headers})


def pinned(client, person, question, document, chunk=None):
    answer = pin(client, person, question, document, chunk)
    assert answer.status_code == 201, answer.content
    return answer.json()


def change(client, person, which, **changes):
    return client.patch(f"{URL}/{which['id']}", changes, content_type="application/json", headers=person.headers)


def listed(client, person):
    answer = client.get(URL, headers=person.headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


def one(client, person, question):
    answer = client.get(f"{URL}/{question['id']}", headers=person.headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


def jobs():
    return list(ProcrastinateJob.objects.filter(task_name="knowledge.run_golden_questions").order_by("id"))


def runs(person, **wanted):
    with creator_scope(person.creator.id):
        return list(GoldenRun.objects.filter(**wanted).order_by("id"))


def run_waiting(person):
    """Do the run that waits, if there is one, as the worker would; returns it as it is then."""
    waiting = runs(person, state="queued")
    if not waiting:
        return None
    own = [job for job in jobs() if job.args["run_id"] == str(waiting[0].id)]
    assert len(own) == 1, "a run that waits has one job"
    async_to_sync(regression.run)(person.actor, UUID(own[0].args["run_id"]))
    ProcrastinateJob.objects.filter(id=own[0].id).delete()
    with creator_scope(person.creator.id):
        return GoldenRun.objects.get(id=waiting[0].id)


def start(person, run):
    """What a worker does first; returns whether there is anything to do."""
    arguments = {"run_id": run.id, "model": "words", "embedder": UUID(int=1)}
    return async_to_sync(run_as)(person.actor, begin_run, **arguments)


def run_all(person):
    """Do every run that waits, one after the other; returns how many there were."""
    done = 0
    while run_waiting(person):
        done += 1
    return done


def told(person, kind):
    """What open pages and clients were told of one kind, oldest first."""
    with creator_scope(person.creator.id):
        return list(Event.objects.filter(type=kind).order_by("seq"))
