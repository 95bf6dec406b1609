"""The operator's command: one creator's failed documents, and nobody else's."""

from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge.models import Document
from shared.tenancy.scope import creator_scope, current_creator

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(bring):
    def call(person, content):
        document = bring(person, content)
        with creator_scope(person.creator.id):
            Document.objects.filter(id=document.id).update(status="failed")
        return document

    return call


def status(person, document):
    with creator_scope(person.creator.id):
        return Document.objects.get(id=document.id).status


def test_the_failed_documents_of_one_creator_are_queued_again(alice, mallory, bring, failed):
    broken, foreign = failed(alice, b"One."), failed(mallory, b"Three.")
    bring(alice, b"Two.")
    said = StringIO()

    call_command("reprocess_failed", creator=alice.creator.id, stdout=said)

    assert said.getvalue() == "1 documents are queued.\n"
    assert status(alice, broken) == "queued"
    assert status(mallory, foreign) == "failed"
    jobs = ProcrastinateJob.objects.filter(task_name="knowledge.process_version").order_by("-id")
    assert jobs.count() == 4
    assert jobs[0].args["actor"]["creator_id"] == str(alice.creator.id)
    assert current_creator() is None


@pytest.mark.parametrize(
    "arguments", [[], ["--creator", "acme"], ["--creator", str(uuid4())]], ids=["none", "no UUID", "nobody"]
)
def test_without_a_creator_that_exists_nothing_happens(alice, failed, arguments):
    document = failed(alice, b"One.")

    with pytest.raises(CommandError):
        call_command("reprocess_failed", *arguments)

    assert status(alice, document) == "failed"
