"""Trials: what golden questions would find with another model, shown beside what they find now."""

import pytest
from asgiref.sync import async_to_sync

from apps.knowledge import embedding, filling, regression, tending
from apps.knowledge.golden import Change, change_of
from apps.knowledge.models import GoldenQuestion, GoldenResult
from shared.tenancy.scope import creator_scope
from tests.knowledge.golden import jobs, one, pinned, run_all, runs, told
from tests.knowledge.golden import listed as golden_listed
from tests.knowledge.models import LETTERS, WORDS, comparison, do_trials, fill, listed, switched, try_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def question(client, alice, ready, next_model):
    """Found first now, and by the next model as well."""
    document = ready(alice, b"Refunds are paid within thirty days.", "shop.md")
    made = pinned(client, alice, "when are refunds paid", document)
    run_all(alice)
    return made


@pytest.mark.parametrize(
    ("now", "then", "change"),
    [
        (1, 1, Change.SAME),
        (None, None, Change.SAME),
        (1, None, Change.LOST),
        (None, 7, Change.BETTER),
        (3, 2, Change.BETTER),
        (2, 3, Change.WORSE),
    ],
)
def test_every_place_counts(now, then, change):
    assert change_of(now, then) == change


def test_a_trial_shows_both_ranks_and_changes_no_question(client, alice, question, next_model):
    fill(alice)
    before = one(client, alice, question)

    answer = try_model(client, alice, LETTERS)

    assert (answer.status_code, answer.json()["state"], answer.json()["model"]) == (202, "queued", "letters")
    do_trials(alice)
    shown = comparison(client, alice, LETTERS).json()
    assert (shown["run"]["state"], shown["run"]["questions"]) == ("done", 1)
    assert [shown[name] for name in ("better", "worse", "lost", "same")] == [0, 0, 0, 1]
    (item,) = shown["items"]
    assert (item["question"], item["rank_now"], item["rank_then"]) == ("when are refunds paid", 1, 1)
    assert one(client, alice, question) == before
    assert golden_listed(client, alice)["summary"]["last_run"]["reasons"] != ["asked_for"]
    assert listed(client, alice)["letters"]["trial"]["id"] == shown["run"]["id"]


def test_what_would_be_lost_stands_first_and_warns_nobody(client, alice, question, ready, next_model, monkeypatch):
    other = ready(alice, b"Dogs sleep.", "dogs.md")
    pinned(client, alice, "who sleeps", other)
    run_all(alice)
    ranks = {"when are refunds paid": None, "who sleeps": 2}
    with creator_scope(alice.creator.id):
        GoldenQuestion.objects.filter(question="who sleeps").update(rank=5)
    finding = golden_runs_finding(ranks)
    monkeypatch.setattr("apps.knowledge.services.golden_runs.find_rank", finding)
    try_model(client, alice, LETTERS)

    do_trials(alice)

    shown = comparison(client, alice, LETTERS).json()
    assert [(item["question"], item["change"]) for item in shown["items"]] == [
        ("when are refunds paid", "lost"),
        ("who sleeps", "better"),
    ]
    assert [shown[name] for name in ("better", "worse", "lost", "same")] == [1, 0, 1, 0]
    assert shown["run"]["regressed"] == 1
    assert told(alice, "golden.regressed") == []
    assert golden_listed(client, alice)["summary"]["regressed"] == 0


def golden_runs_finding(ranks):
    from apps.knowledge.services.golden_ranks import Finding

    def find_rank(question, vector, model):
        assert model == LETTERS
        return Finding(ranks[question.question])

    return find_rank


def test_the_hub_tries_a_model_that_has_come_to_see_everything(client, alice, question, next_model):
    fill(alice)

    (trial,) = runs(alice, trial=True)
    assert (trial.reasons, trial.embedder) == (["model_filled"], LETTERS)
    fill(alice)  # nothing was missing
    assert len(runs(alice, trial=True)) == 1
    do_trials(alice)
    assert comparison(client, alice, LETTERS).json()["run"]["reasons"] == ["model_filled"]


def test_it_tries_neither_the_one_that_answers_nor_what_nobody_asks(client, alice, ready, next_model, monkeypatch):
    ready(alice, b"Cats sleep.")
    fill(alice)
    assert runs(alice) == []

    monkeypatch.setattr(embedding, "_next_embedder", None)
    monkeypatch.setattr(embedding, "_embedder", next_model)
    fill(alice)
    assert runs(alice, trial=True) == []


def test_many_who_ask_get_one_trial(client, alice, question):
    first, second = (try_model(client, alice, LETTERS).json() for _ in range(2))

    assert first["id"] == second["id"]
    assert len([job for job in jobs() if job.args["run_id"] == first["id"]]) == 1


def test_an_ordinary_run_and_a_trial_do_not_wait_for_each_other(client, alice, question, serve):
    try_model(client, alice, LETTERS)
    client.post("/api/v1/golden-questions/run", headers=alice.headers)
    assert golden_listed(client, alice)["summary"]["next_run"]["reasons"] == ["asked_for"]

    (trial,) = do_trials(alice)

    assert trial.state == "done"
    (ordinary,) = runs(alice, state="queued")
    async_to_sync(regression.run)(alice.actor, ordinary.id)
    assert runs(alice, state="queued") == []


def test_the_newest_trials_are_kept_beside_all_runs(client, alice, question, monkeypatch):
    monkeypatch.setattr("apps.knowledge.services.golden_runs.KEPT_TRIALS", 2)
    ordinary = len(runs(alice, trial=False))
    for _ in range(4):
        try_model(client, alice, LETTERS)
        do_trials(alice)

    assert (len(runs(alice, trial=True)), len(runs(alice, trial=False))) == (2, ordinary)
    with creator_scope(alice.creator.id):
        assert GoldenResult.objects.filter(run__trial=True).count() == 2


def test_a_trial_of_a_model_that_is_configured_no_more_fails(client, alice, question, monkeypatch):
    try_model(client, alice, LETTERS)
    monkeypatch.setattr(embedding, "_next_embedder", None)

    (trial,) = do_trials(alice)

    assert (trial.state, trial.questions) == ("failed", 0)


def test_a_trial_whose_job_is_lost_is_queued_again(client, alice, question):
    from procrastinate.contrib.django.models import ProcrastinateJob

    try_model(client, alice, LETTERS)
    ProcrastinateJob.objects.all().delete()

    async_to_sync(tending.tend_everybody)()

    (trial,) = runs(alice, trial=True)
    assert [job.args["run_id"] for job in jobs()] == [str(trial.id)]


def test_there_has_to_be_something_to_try(client, alice, bob, ready, next_model):
    ready(alice, b"Cats sleep.")

    assert try_model(client, alice, LETTERS).json()["code"] == "no_golden_questions"
    assert comparison(client, alice, LETTERS).json()["code"] == "trial_not_found"
    assert comparison(client, alice, "00000000-0000-0000-0000-000000000000").json()["code"] == "model_not_found"
    assert try_model(client, bob, LETTERS).status_code == 403


def test_a_switch_has_the_questions_tried_by_the_other_model(client, alice, question, next_model):
    fill(alice)
    do_trials(alice)

    switched(client, alice, LETTERS)

    (run,) = runs(alice, state="queued")
    assert (run.reasons, run.trial) == (["model_changed"], False)
    run_all(alice)
    assert runs(alice, trial=False)[-1].embedder == LETTERS
    assert [result["run"]["model"] for result in one(client, alice, question)["history"]] == ["letters", "words"]
    assert async_to_sync(tending.tend_everybody)() == 0
    switched(client, alice, WORDS)
    assert [run.reasons for run in runs(alice, state="queued")] == [["model_changed"]]


def test_a_run_that_a_switch_interrupts_goes_on_with_its_own_model(client, alice, question, next_model, monkeypatch):
    """Else its ranks would be of two models. The switch has asked for a run of its own."""
    fill(alice)
    client.post("/api/v1/golden-questions/run", headers=alice.headers)
    (run,) = runs(alice, state="queued", trial=False)
    monkeypatch.setattr(regression, "_TURN_SECONDS", -1.0)
    async_to_sync(regression.run)(alice.actor, run.id)
    monkeypatch.undo()
    monkeypatch.setattr(embedding, "_embedder", words())
    monkeypatch.setattr(embedding, "_next_embedder", next_model)

    switched(client, alice, LETTERS)
    next_model.asked.clear()
    async_to_sync(regression.run)(alice.actor, run.id)

    assert next_model.asked == []
    assert [run.reasons for run in runs(alice, state="queued", trial=False)] == [["model_changed"]]


def words():
    from tests.knowledge.conftest import WordEmbedder

    return WordEmbedder()


def test_a_failing_filling_makes_no_trial(alice, question, monkeypatch):
    async def nothing(*_, **__):
        raise filling.GaveWay

    monkeypatch.setattr(filling, "_fill", nothing)

    fill(alice)

    assert runs(alice, trial=True) == []
