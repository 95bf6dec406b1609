"""Golden questions over the API: pin, list, read, change, delete, run."""

from uuid import uuid4

import pytest

from apps.knowledge.golden_schemas import LONGEST_QUESTION
from apps.knowledge.models import Chunk
from apps.knowledge.schemas import SearchQuery
from shared.tenancy.scope import creator_scope
from tests.knowledge.golden import URL, change, jobs, listed, one, pin, pinned, run_all, runs, told

pytestmark = pytest.mark.django_db
TEXT = b"# Refunds\n\nRefunds are paid within thirty days.\n\n# Cats\n\nCats sleep on the sofa."
ASKED = "when are refunds paid"


@pytest.fixture
def document(alice, ready):
    return ready(alice, TEXT, "shop.md")


@pytest.fixture
def passage(client, alice, document):
    url = f"/api/v1/documents/{document.id}/passages"
    return client.get(url, headers=alice.headers).json()["items"][0]


def run(client, person, **headers):
    return client.post(f"{URL}/run", headers={**person.headers, **headers})


def test_a_question_is_pinned_to_a_document_and_tried_soon(client, alice, document):
    answer = pin(client, alice, "  when are \n refunds paid ", document)

    assert answer.status_code == 422  # a line break is no part of a question
    made = pin(client, alice, f"  {ASKED}  ", document)
    assert made.status_code == 201
    assert made.json() == {
        **made.json(),
        "question": ASKED,
        "document_id": str(document.id),
        "document_title": "shop",
        "passage": "",
        "passage_gone": False,
        "state": "waiting",
        "rank": None,
        "ranked_at": None,
        "rank_before": None,
        "ranked_before_at": None,
        "regressed": False,
    }
    assert runs(alice)[0].reasons == ["questions_changed"]
    assert len(jobs()) == 1
    (event,) = told(alice, "golden.changed")
    assert (str(event.subject), event.data) == (made.json()["id"], '{"state":"waiting"}')


def test_a_question_is_pinned_to_a_passage_with_its_text(client, alice, document, passage):
    made = pinned(client, alice, ASKED, document, passage["id"])

    assert made["passage"] == passage["text"]


def test_the_same_again_is_the_one_that_is_there(client, alice, document, passage):
    first = pinned(client, alice, ASKED, document)
    again = pin(client, alice, ASKED, document)
    narrower = pin(client, alice, ASKED, document, passage["id"])

    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert narrower.status_code == 201
    assert len(listed(client, alice)["items"]) == 2


def test_an_idempotency_key_pins_once_and_runs_once(client, alice, document):
    first = pin(client, alice, ASKED, document, **{"Idempotency-Key": "k1"})
    again = pin(client, alice, ASKED, document, **{"Idempotency-Key": "k1"})
    other = pin(client, alice, "another one", document, **{"Idempotency-Key": "k1"})
    run_all(alice)
    ran = [run(client, alice, **{"Idempotency-Key": "k2"}) for _ in range(2)]

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json() == again.json()
    assert ran[0].json() == ran[1].json()
    assert len(runs(alice, state="queued")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"question": ""},
        {"question": "   "},
        {"question": "a\x00b"},
        {"question": "x" * 501},
        {"question": None},
        {"document_id": "no id"},
        {"document_id": None},
        {"chunk_id": "no id"},
    ],
)
def test_what_makes_no_sense_is_refused(client, alice, document, wrong):
    body = {"question": ASKED, "document_id": str(document.id), **wrong}

    assert client.post(URL, body, content_type="application/json", headers=alice.headers).status_code == 422
    assert listed(client, alice)["items"] == []


def test_a_question_is_as_long_as_a_search_may_be(client, alice, document):
    assert next(rule.max_length for rule in SearchQuery.model_fields["q"].metadata if hasattr(rule, "max_length")) == (
        LONGEST_QUESTION
    )
    assert pin(client, alice, "x" * LONGEST_QUESTION, document).status_code == 201


def test_what_is_expected_has_to_be_there(client, alice, mallory, ready, document, passage):
    other = ready(alice, b"Something else.")
    foreign = ready(mallory, b"Umbrellas.")

    for wanted in (foreign.id, uuid4()):
        answer = client.post(
            URL,
            {"question": ASKED, "document_id": str(wanted)},
            content_type="application/json",
            headers=alice.headers,
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
    for chunk in (passage["id"], str(uuid4())):
        answer = pin(client, alice, ASKED, other, chunk)
        assert (answer.status_code, answer.json()["code"]) == (404, "passage_not_found")
    with creator_scope(alice.creator.id):
        Chunk.objects.update(source=None)  # as one of long ago, which cannot be told from others
    assert pin(client, alice, ASKED, document, passage["id"]).status_code == 404
    assert jobs() == []


def test_a_document_that_is_not_ready_can_be_expected(client, alice, bring, process):
    document = bring(alice, b"Refunds are paid.")
    question = pinned(client, alice, "refunds", document)
    run_all(alice)
    assert one(client, alice, question)["state"] == "not_found"

    process(alice.actor, document)
    run_all(alice)
    assert one(client, alice, question)["rank"] == 1


def test_there_are_only_so_many(client, alice, mallory, ready, document, monkeypatch):
    monkeypatch.setenv("GOLDEN_QUESTIONS", "2")
    first = pinned(client, alice, "one", document)
    pinned(client, alice, "two", document)

    full = pin(client, alice, "three", document)
    assert (full.status_code, full.json()["code"]) == (409, "golden_questions_full")
    assert pin(client, alice, "one", document).status_code == 200  # it is there
    assert pin(client, mallory, "three", ready(mallory, TEXT)).status_code == 201
    client.delete(f"{URL}/{first['id']}", headers=alice.headers)
    assert pin(client, alice, "three", document).status_code == 201
    assert listed(client, alice)["summary"]["most_questions"] == 2


def test_the_list_has_the_newest_first_and_says_how_they_stand(client, alice, document, ready):
    gone = ready(alice, b"Umbrellas are opened before the rain.")
    first = pinned(client, alice, ASKED, document)
    pinned(client, alice, "zeppelin", document)
    pinned(client, alice, "umbrellas", gone)
    before = listed(client, alice)
    assert before["summary"]["last_run"] is None
    assert before["summary"]["next_run"]["state"] == "queued"
    assert before["summary"]["waiting"] == 3

    run_all(alice)
    client.delete(f"/api/v1/documents/{gone.id}", headers=alice.headers)
    run_all(alice)
    latest = pinned(client, alice, "cats", document)

    after = listed(client, alice)
    assert [item["id"] for item in after["items"]][::3] == [latest["id"], first["id"]]
    assert [item["state"] for item in after["items"]] == ["waiting", "target_gone", "not_found", "found"]
    summary = after["summary"]
    counts = ("questions", "regressed", "not_found", "target_gone", "waiting")
    assert [summary[name] for name in counts] == [4, 0, 1, 1, 1]
    assert summary["last_run"] == {
        **summary["last_run"],
        "state": "done",
        "reasons": ["document_deleted"],
        "model": "words",
        "questions": 2,
        "regressed": 0,
        "target_gone": 1,
    }
    assert summary["next_run"]["reasons"] == ["questions_changed"]


def test_one_question_has_its_history(client, alice, document):
    question = pinned(client, alice, ASKED, document)
    run_all(alice)
    run(client, alice)
    run_all(alice)

    newest, oldest = one(client, alice, question)["history"]
    assert newest["at"] > oldest["at"]
    assert (newest["rank"], newest["rank_before"], newest["regressed"]) == (1, 1, False)
    assert (oldest["rank"], oldest["rank_before"]) == (1, None)
    assert (newest["run"]["reasons"], newest["run"]["model"]) == (["asked_for"], "words")


def test_what_was_changed_begins_anew(client, alice, document, ready, passage):
    question = pinned(client, alice, ASKED, document, passage["id"])
    run_all(alice)

    changed = change(client, alice, question, question="who sleeps on the sofa").json()
    assert (changed["state"], changed["rank"], changed["passage"]) == ("waiting", None, passage["text"])
    assert one(client, alice, question)["history"] == []
    run_all(alice)
    assert one(client, alice, question)["rank_before"] is None

    other = ready(alice, b"Umbrellas are opened.", "rain.txt")
    changed = change(client, alice, question, document_id=str(other.id)).json()
    assert (changed["document_title"], changed["passage"]) == ("rain", "")
    changed = change(client, alice, question, document_id=str(document.id), chunk_id=passage["id"]).json()
    assert changed["passage"] == passage["text"]
    changed = change(client, alice, question, chunk_id=None).json()
    assert (changed["document_title"], changed["passage"]) == ("shop", "")
    changed = change(client, alice, question, chunk_id=passage["id"]).json()
    assert (changed["question"], changed["passage"]) == ("who sleeps on the sofa", passage["text"])


def test_saying_the_same_accepts_the_rank_of_now(client, alice, document, passage):
    question = pinned(client, alice, ASKED, document, passage["id"])
    run_all(alice)
    hide = f"/api/v1/documents/{document.id}/passages/{passage['id']}"
    client.patch(hide, {"hidden": True}, content_type="application/json", headers=alice.headers)
    run_all(alice)
    assert one(client, alice, question)["state"] == "regressed"

    accepted = change(client, alice, question, question=ASKED).json()
    assert (accepted["state"], accepted["rank"], accepted["rank_before"]) == ("not_found", None, None)
    assert len(one(client, alice, question)["history"]) == 2
    assert runs(alice, state="queued") == []
    run(client, alice)
    run_all(alice)
    assert one(client, alice, question)["state"] == "not_found"


def test_a_change_needs_a_question_and_something_to_expect(client, alice, document):
    question = pinned(client, alice, ASKED, document)
    client.delete(f"/api/v1/documents/{document.id}", headers=alice.headers)

    no_document = change(client, alice, question, chunk_id=str(uuid4()))
    nothing = change(client, alice, {"id": str(uuid4())}, question="x")
    foreign = change(client, alice, question, document_id=str(uuid4()))

    assert (no_document.status_code, no_document.json()["code"]) == (404, "document_not_found")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "golden_question_not_found")
    assert foreign.status_code == 404
    assert change(client, alice, question, question="").status_code == 422
    assert change(client, alice, question, question="asked otherwise").json()["state"] == "target_gone"


def test_a_deleted_question_is_gone_with_its_history(client, alice, document):
    question = pinned(client, alice, ASKED, document)
    run_all(alice)

    assert client.delete(f"{URL}/{question['id']}", headers=alice.headers).status_code == 204
    gone = client.delete(f"{URL}/{question['id']}", headers=alice.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "golden_question_not_found")
    assert client.get(f"{URL}/{question['id']}", headers=alice.headers).status_code == 404
    assert [str(event.subject) for event in told(alice, "golden.deleted")] == [question["id"]]


def test_a_run_is_asked_for_once(client, alice, document):
    none = run(client, alice)
    assert (none.status_code, none.json()["code"]) == (409, "no_golden_questions")
    pinned(client, alice, ASKED, document)
    run_all(alice)

    first, second = run(client, alice), run(client, alice)
    assert (first.status_code, first.json()["state"], first.json()["reasons"]) == (202, "queued", ["asked_for"])
    assert second.json() == first.json()
    (job,) = jobs()
    assert job.scheduled_at is None  # now, in its turn
    run_all(alice)
    assert [event.data.partition(",")[0] for event in told(alice, "golden.run_changed")][-3:] == [
        '{"state":"queued"',
        '{"state":"running"',
        '{"state":"done"',
    ]


def test_viewers_read_and_editors_write(client, alice, bob, erin, document):
    question = pinned(client, erin, ASKED, document)

    assert listed(client, bob)["summary"]["questions"] == 1
    assert one(client, bob, question)["question"] == ASKED
    refused = [
        pin(client, bob, "another", document),
        change(client, bob, question, question="another"),
        client.delete(f"{URL}/{question['id']}", headers=bob.headers),
        run(client, bob),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "role_required")}
    assert change(client, erin, question, question="another").status_code == 200
    assert run(client, erin).status_code == 202
    assert client.delete(f"{URL}/{question['id']}", headers=erin.headers).status_code == 204


def test_another_creator_sees_changes_and_runs_none_of_it(client, alice, mallory, document):
    question = pinned(client, alice, ASKED, document)
    run_all(alice)
    before = one(client, alice, question)

    assert listed(client, mallory)["items"] == []
    assert listed(client, mallory)["summary"]["last_run"] is None
    assert change(client, mallory, question, question="mine now").status_code == 404
    assert client.delete(f"{URL}/{question['id']}", headers=mallory.headers).status_code == 404
    assert run(client, mallory).status_code == 409
    assert one(client, alice, question) == before
    assert told(mallory, "golden.changed") == told(mallory, "golden.run_changed") == []
