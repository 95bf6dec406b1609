import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from apps.knowledge.models import Chunk, Document, Stage, Version
from apps.knowledge.services import ledger, passages, switching
from apps.knowledge.services.ledger import Superseded
from apps.knowledge.services.passages import Facts
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db


def post(client, person, document, action):
    return client.post(f"/api/v1/documents/{document.id}/{action}", headers=person.headers)


def test_the_live_version_answers_until_the_new_one_is_ready(client, alice, ready, process):
    document = ready(alice, b"Refunds are paid within thirty days.")

    response = post(client, alice, document, "reprocess")

    assert response.status_code == 202
    assert (response.json()["version"], response.json()["live_version"]) == (2, 1)
    assert response.json()["status"] == "queued"
    assert len(client.get("/api/v1/search?q=refunds", headers=alice.headers).json()["results"]) == 1

    process(alice.actor, document)
    assert len(client.get("/api/v1/search?q=refunds", headers=alice.headers).json()["results"]) == 1
    with creator_scope(alice.creator.id):
        assert Document.objects.get().live_version == 2
        assert set(Chunk.objects.values_list("version__number", flat=True)) == {1, 2}  # the first can be restored


def test_a_document_in_work_is_not_started_twice(client, alice, bring):
    document = bring(alice, b"hello")

    assert post(client, alice, document, "reprocess").json()["version"] == 1
    assert ProcrastinateJob.objects.count() == 1


def test_a_cancelled_document_stays_cancelled(client, alice, bring, process):
    document = bring(alice, b"hello")

    response = post(client, alice, document, "cancel")

    assert response.status_code == 200
    assert response.json()["status"] == "cancelled"
    assert process(alice.actor, document).status == "cancelled"
    with creator_scope(alice.creator.id):
        assert set(Stage.objects.exclude(name="store").values_list("state", flat=True)) == {"cancelled"}
        assert not Chunk.objects.exists()


def test_a_run_that_was_cancelled_writes_nothing_more(client, alice, bring, serve):
    document = bring(alice, b"hello")
    with creator_scope(alice.creator.id):
        version = Version.objects.get()
    work = serve(alice.actor, ledger.claim_version, version_id=version.id)
    post(client, alice, document, "cancel")

    for service, arguments in [
        (ledger.hold_claim, {}),
        (ledger.begin_stage, {"name": "extract"}),
        (passages.store_passages, {"passages": [], "facts": Facts(1, "en")}),
        (ledger.fail_version, {"code": "internal"}),
        (switching.go_live, {}),
    ]:
        with pytest.raises(Superseded):
            serve(alice.actor, service, work=work, **arguments)
    with creator_scope(alice.creator.id):
        assert Document.objects.get().status == "cancelled"


def test_cancelling_what_has_finished_changes_nothing(client, alice, ready):
    document = ready(alice, b"hello world")

    assert post(client, alice, document, "cancel").json()["status"] == "ready"
    assert len(client.get("/api/v1/search?q=hello", headers=alice.headers).json()["results"]) == 1


def test_cancelling_a_second_version_leaves_the_first_answering(client, alice, ready):
    document = ready(alice, b"Refunds are paid.")
    post(client, alice, document, "reprocess")

    body = post(client, alice, document, "cancel").json()

    assert (body["status"], body["live_version"]) == ("cancelled", 1)
    assert len(client.get("/api/v1/search?q=refunds", headers=alice.headers).json()["results"]) == 1


def test_a_repeated_reprocess_with_one_key_starts_one_version(client, alice, ready):
    document = ready(alice, b"hello world")
    url, headers = f"/api/v1/documents/{document.id}/reprocess", {**alice.headers, "Idempotency-Key": "once"}

    first, second = client.post(url, headers=headers), client.post(url, headers=headers)

    assert first.json() == second.json()
    with creator_scope(alice.creator.id):
        assert Version.objects.count() == 2
