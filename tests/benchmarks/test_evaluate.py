"""A whole run against a hub that is none, up to its last line.

By words `q1` finds owl (hunt, mice, at, night), then fox (hunt, mice): perfect. By meaning it finds fox, owl, rye, the
alphabet of their texts: (1/1 + 2/1.58496) / (2/1 + 1/1.58496) = 0.85972. `q2` finds rye by words, and third by
meaning: 1/2. So by meaning the mean is 0.67986, and everything relevant is among the first hundred.
"""

import json
import random

import httpx
import pytest

from benchmarks import evaluate
from benchmarks.typos import mistype
from shared.config.env_constants import get_env_value
from tests.benchmarks.stand_in import limited, unreachable

PERFECT = {"ndcg@10": 1.0, "recall@100": 1.0, "lexical": 1.0, "vector": 0.6799}


@pytest.fixture
def run(hub, capsys):
    """Run `make eval`; returns the lines that it prints."""

    def run(*arguments):
        evaluate.main([str(argument) for argument in arguments], hub.transport)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def stopped(hub, run):
    """Run `make eval`, which must end with this sentence."""

    def stopped(*arguments):
        with pytest.raises(SystemExit) as end:
            run(*arguments)
        return end.value.code

    return stopped


def last(lines):
    figures = json.loads(lines[-1])
    assert figures.pop("p95_ms") >= 0
    return figures


def test_the_last_line_has_the_figures(run, folder):
    assert last(run(folder)) == PERFECT


def test_what_people_read_stands_above(run, folder):
    lines = run(folder)

    assert lines[0] == "4 documents, 2 judged queries, 3 judgements"
    assert "  queries without a judgement, not asked: 1" in lines
    assert "  documents that failed, not to be found (1 x empty): 1" in lines
    assert "  lexical     1.0000      1.0000" in lines
    assert "  vector      0.6799      1.0000" in lines
    assert "  fusion      1.0000      1.0000" in lines
    assert lines[-2].startswith("a search: half take ")
    assert lines[-2].endswith(" ms; 7 ms on average in the hub")


def test_only_judged_queries_are_asked(run, hub, folder):
    run(folder)

    assert hub.questions() == ["who will hunt mice at night", "bread"]


def test_one_question_is_asked_at_a_time(run, hub, folder, tmp_path):
    run(folder, "--again", tmp_path / "kept.json")
    hub.most_open = 0

    run(folder, "--again", tmp_path / "kept.json")

    assert hub.most_open == 1


def test_it_goes_to_the_port_that_was_named(run, hub, folder):
    run(folder, "--port", 9123)

    assert {(request.url.host, request.url.port) for request in hub.asked} == {("127.0.0.1", 9123)}


def test_without_one_to_the_hubs_own(run, hub, folder):
    run(folder)

    assert {request.url.port for request in hub.asked} == {get_env_value("PORT", fallback=True)}


def test_limits_are_waited_out_and_told(run, hub, folder, pauses):
    hub.at_first = {"/auth/register": [limited("4")], "/documents": [limited()] * 5, "/search": [limited("2")] * 3}

    lines = run(folder)

    assert last(lines) == PERFECT
    assert sum(pauses) - pauses.count(1.0) == 4 + 15 + 6
    assert "25 s were spent waiting for the hub's limits, which no latency counts" in lines


def test_documents_of_the_same_content_are_found_together(run, make_collection):
    """q: a and its twin c are first and second, b third. Ideal 2 + 1/1.58496; found 1 + 0 + 2/2."""
    corpus = [{"_id": "a", "text": "one"}, {"_id": "b", "text": "two one"}, {"_id": "c", "text": "one"}]
    folder = make_collection(corpus, [{"_id": "q", "text": "one"}], [("q", "a", 1), ("q", "b", 2)])

    lines = run(folder)

    assert "  documents with the content of another, whose place they share: 1" in lines
    assert last(lines)["ndcg@10"] == round(2 / (2 + 1 / 1.5849625), 4)


def test_a_document_that_another_brought_is_relevant_to_nothing(run, hub, folder):
    hub.by_content[b""] = "foreign"
    hub.documents["foreign"] = {"id": "foreign", "text": "bread", "status": "ready"}

    assert last(run(folder))["lexical"] == round((1 + 1 / 1.5849625) / 2, 4)


def test_judgements_that_nothing_can_meet_are_told(run, make_collection):
    judgements = [("q1", "owl", 1), ("q1", "gone", 1), ("q2", "rye", 0), ("q9", "fox", 1)]

    lines = run(make_collection(judgements=judgements))

    assert "  judgements of queries that are not there, left out: 1" in lines
    assert "  judgements of documents that are not there, counting as not found: 1" in lines
    assert "  queries without a relevant document, counting as 0: 1" in lines
    assert last(lines)["recall@100"] == 0.25


def test_refused_documents_are_told(run, hub, folder):
    hub.at_first["/documents"] = [lambda request: httpx.Response(413, json={"detail": "Too large."})]

    assert "  documents that were refused, not to be found (1 x 413, Too large.): 1" in run(folder)


def test_long_queries_are_cut_and_blank_ones_not_asked(run, hub, make_collection):
    queries = [{"_id": "q1", "text": "mice " * 200}, {"_id": "q2", "text": " \n"}]

    lines = run(make_collection(queries=queries))

    assert hub.questions() == [("mice " * 100).strip()]
    assert "  queries of more than 500 characters, cut there: 1" in lines
    assert "  queries without text, not asked, counting as 0: 1" in lines
    assert last(lines)["recall@100"] == 0.5


# ---- typos


def test_with_typos_both_runs_are_printed(run, hub, make_collection):
    """Whatever slip befalls the one word of q2, no document has it any more: rye is the last one by meaning then."""
    folder = make_collection(queries=[{"_id": "q2", "text": "bread"}], judgements=[("q2", "rye", 1)])

    lines = run(folder, "--typos", 3)

    assert hub.questions() == ["bread", mistype("bread", random.Random("3 q2"))]
    assert "asking       nDCG@10  recall@100" in lines
    assert "with typos   nDCG@10  recall@100" in lines
    assert "typos (seed 3) lose 50.0% of nDCG@10: 1.0000, then 0.5000" in lines
    expected = {"ndcg@10": 0.5, "recall@100": 1.0, "lexical": 0.0, "vector": 0.5, "ndcg@10_clean": 1.0}
    assert last(lines) == expected


def test_a_query_gets_the_same_typo_whatever_else_is_asked(run, hub, make_collection):
    run(make_collection(), "--typos", 1)
    run(make_collection(judgements=[("q2", "rye", 1)]), "--typos", 1)

    assert hub.questions()[3] == hub.questions()[5] == mistype("bread", random.Random("1 q2"))


def test_a_typo_leaves_a_query_within_what_the_hub_takes(run, hub, make_collection):
    folder = make_collection(queries=[{"_id": "q1", "text": "x" * 500}])

    for seed in range(8):
        run(folder, "--typos", seed)

    assert {len(question) for question in hub.questions()[1::2]} == {498, 499, 500}


def test_where_nothing_was_found_typos_lose_nothing(run, make_collection):
    folder = make_collection(queries=[{"_id": "q1", "text": "a"}], judgements=[("q1", "gone", 1)])

    lines = run(folder, "--typos", 1)

    assert "  queries without a word of four letters, left without a typo: 1" in lines
    assert "typos (seed 1) lose 0.0% of nDCG@10: 0.0000, then 0.0000" in lines


# ---- asking again


def test_the_next_run_only_asks(run, hub, folder, tmp_path):
    kept = tmp_path / "kept.json"
    first = last(run(folder, "--again", kept))
    before = len(hub.asked)

    again = last(run(folder, "--again", kept))

    assert again == first == PERFECT
    assert [path for path in hub.paths()[before:] if path.startswith("/auth")] == ["/auth/login"]
    assert len(hub.uploads) == 4
    assert len(hub.people) == 1


def test_a_run_that_was_cut_off_is_gone_on_with(run, stopped, hub, folder, tmp_path):
    kept = tmp_path / "kept.json"
    hub.at_first["/documents"] = [lambda request: httpx.Response(507, json={"detail": "Full."})] * 3
    assert "507, Full." in stopped(folder, "--again", kept)

    assert last(run(folder, "--again", kept)) == PERFECT

    assert len(hub.people) == 1


def test_a_hub_that_has_forgotten_the_creator(run, stopped, hub, folder, tmp_path):
    kept = tmp_path / "kept.json"
    run(folder, "--again", kept)
    hub.people.clear()

    assert f"401, Wrong. Delete {kept} to upload the collection anew." in stopped(folder, "--again", kept)


def test_a_file_below_ones_home(run, hub, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    run(folder, "--again", "~/kept.json")

    assert json.loads((tmp_path / "kept.json").read_text())["access"]["email"] in hub.people


# ---- what cannot be measured


def test_no_folder_was_named(stopped):
    assert stopped("") == "The evaluation stopped. Say which collection: make eval DATA=folder"


def test_a_line_that_is_no_json(stopped, hub, folder):
    (folder / "queries.jsonl").write_text("oops\n")

    assert "queries.jsonl, line 1 is not JSON" in stopped(folder)
    assert hub.asked == []


def test_no_hub_is_there(stopped, hub, folder):
    hub.at_first["/health/live"] = [unreachable] * 5

    assert "Start one in another terminal with make run." in stopped(folder)


def test_a_hub_that_does_not_explain(stopped, hub, folder):
    hub.explains = False

    assert "This hub does not explain its searches." in stopped(folder)


def test_a_search_that_is_refused(stopped, hub, folder):
    errors = [{"field": "limit", "message": "at most 50"}]
    hub.at_first["/search"] = [lambda request: httpx.Response(422, json={"detail": "Not valid.", "errors": errors})]

    assert "/api/v1/search was refused: 422, Not valid. limit: at most 50" in stopped(folder)


def test_a_file_that_cannot_be_read(stopped, folder, monkeypatch):
    def unreadable(folder):
        raise PermissionError(13, "Permission denied", "corpus.jsonl")

    monkeypatch.setattr(evaluate, "read_collection", unreadable)

    assert stopped(folder) == "The evaluation stopped. [Errno 13] Permission denied: 'corpus.jsonl'"


def test_whoever_presses_ctrl_c_gets_no_traceback(stopped, folder, monkeypatch):
    def interrupt(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "read_collection", interrupt)

    assert stopped(folder) == 130


def test_progress_does_not_mix_with_the_figures(hub, folder, capsys):
    evaluate.main([str(folder)], hub.transport)

    assert [line.strip() for line in capsys.readouterr().err.splitlines()] == [
        "uploading: 4 of 4",
        "processing: 4 of 4",
        "asking: 2 of 2",
    ]
