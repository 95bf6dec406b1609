import json

import pytest

from benchmarks.beir import CannotEvaluate, Writing, read_collection


def test_a_collection_is_read(folder):
    collection = read_collection(folder)

    assert collection.documents["fox"] == Writing("On foxes", "brown foxes hunt mice")
    assert list(collection.documents) == ["fox", "owl", "rye", "void"]
    assert collection.grades == {"q1": {"owl": 2, "fox": 1}, "q2": {"rye": 1}}


def test_only_queries_that_somebody_judged_are_kept(folder):
    collection = read_collection(folder)

    assert list(collection.queries) == ["q1", "q2"]
    assert collection.unasked == 1


@pytest.mark.parametrize("qrels", ["qrels.tsv", "qrels/test.tsv"])
@pytest.mark.parametrize("headings", [True, False])
def test_judgements_lie_in_either_place_with_and_without_headings(make_collection, qrels, headings):
    collection = read_collection(make_collection(qrels=qrels, headings=headings))

    assert collection.grades == {"q1": {"owl": 2, "fox": 1}, "q2": {"rye": 1}}


def test_ids_that_are_numbers_are_the_same_ids(make_collection):
    folder = make_collection([{"_id": 7, "text": "x"}], [{"_id": 1, "text": "y"}], [("1", "7", 1)])

    collection = read_collection(folder)

    assert (collection.queries, collection.strange) == ({"1": "y"}, 0)


def test_a_title_and_a_text_may_be_null(make_collection):
    folder = make_collection([{"_id": "a", "title": None, "text": None}], judgements=[("q1", "a", 1)])

    assert read_collection(folder).documents == {"a": Writing("", "")}


def test_a_text_may_hold_what_other_formats_take_for_the_end_of_a_line(make_collection):
    text = "one\u2028two\x85three"
    folder = make_collection(judgements=[("q1", "a", 1)])
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "a", "text": text}, ensure_ascii=False))

    assert read_collection(folder).documents["a"].text == text


def test_blank_lines_byte_order_marks_and_carriage_returns_are_passed_over(folder):
    for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"):
        lines = (folder / name).read_bytes().replace(b"\n", b"\r\n\r\n")
        (folder / name).write_bytes(b"\xef\xbb\xbf" + lines)

    collection = read_collection(folder)

    assert len(collection.documents) == 4
    assert collection.grades == {"q1": {"owl": 2, "fox": 1}, "q2": {"rye": 1}}


def test_judgements_of_what_is_not_there_are_counted(make_collection):
    folder = make_collection(judgements=[("q1", "owl", 1), ("q1", "gone", 1), ("nobody", "owl", 1), ("nobody", "x", 1)])

    collection = read_collection(folder)

    assert (collection.unknown, collection.strange) == (2, 1)
    assert collection.grades == {"q1": {"owl": 1, "gone": 1}}  # what is gone can still be missed


def test_other_documents_have_another_digest(make_collection):
    first = read_collection(make_collection()).digest
    asked_otherwise = read_collection(make_collection(judgements=[("q1", "owl", 1)])).digest
    other = read_collection(make_collection([{"_id": "owl", "text": "x"}])).digest

    assert first == asked_otherwise != other


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CannotEvaluate, match=r"no folder .*nowhere.*make eval DATA=folder.*corpus.jsonl"):
        read_collection(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_file_that_is_not_there(folder, name):
    (folder / name).unlink()

    with pytest.raises(CannotEvaluate, match=f"There is no {name}.* It needs corpus.jsonl, queries.jsonl"):
        read_collection(folder)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"_id": "x", "text"', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe{", "is not UTF-8"),
        (b"[1, 2]", 'is not an object with "_id" and "text"'),
        (b'{"_id": "x"}', 'is not an object with "_id" and "text"'),
        (b'{"text": "x"}', 'is not an object with "_id" and "text"'),
        (b'{"_id": "fox", "text": "x"}', 'the _id "fox" of .*corpus.jsonl, line 1'),
    ],
)
def test_a_line_that_is_wrong_is_named(folder, line, complaint):
    path = folder / "corpus.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")

    with pytest.raises(CannotEvaluate, match=rf"corpus.jsonl, line 5 .*{complaint}"):
        read_collection(folder)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("q1 owl 1", "has not three fields"),
        ("q1\t0\towl\t1", "has not three fields"),
        ("q1\towl\tgood", "'good', which is no score"),
        ("q1\towl\tnan", "'nan', which is no score"),
    ],
)
def test_a_judgement_that_is_wrong_is_named(folder, line, complaint):
    path = folder / "qrels.tsv"
    path.write_text(f"{path.read_text()}{line}\n")

    with pytest.raises(CannotEvaluate, match=rf"qrels.tsv, line 5 .*{complaint}"):
        read_collection(folder)


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"corpus": []}, "no document in .*corpus.jsonl"),
        ({"queries": []}, "no query of .*queries.jsonl that .*qrels.tsv judges"),
        ({"judgements": [("someone", "owl", 1)]}, "no query of .*queries.jsonl that .*qrels.tsv judges"),
    ],
)
def test_files_that_do_not_belong_together(make_collection, parts, complaint):
    with pytest.raises(CannotEvaluate, match=complaint):
        read_collection(make_collection(**parts))
