import json
from pathlib import Path

import httpx
import pytest

from benchmarks import library as libraries
from benchmarks.beir import CannotEvaluate, read_collection
from benchmarks.library import Library, cut, find_kept, keep
from benchmarks.patient import Access, PatientClient
from shared.config.env_constants import PROJECT_ROOT
from tests.benchmarks.stand_in import limited

HUB = "http://127.0.0.1:8000"
ACCESS = Access("eval@example.com", "secret")


@pytest.fixture
async def client(hub):
    async with PatientClient(HUB, hub.transport) as client:
        await client.register()
        yield client


def empty_library():
    return Library(HUB, "digest", ACCESS)


def refused(status):
    return lambda request: httpx.Response(status, json={"detail": "No."})


async def test_each_document_is_a_text_file_under_its_title(hub, client, folder):
    await empty_library().upload(client, read_collection(folder))

    assert sorted(hub.uploads) == [
        ("fox.txt", "On foxes", "brown foxes hunt mice"),
        ("owl.txt", "On owls", "owls hunt mice at night"),
        ("rye.txt", "", "rye bread with butter"),
        ("void.txt", "Nothing", ""),
    ]


async def test_an_id_becomes_a_harmless_filename_and_a_title_fits(hub, client, make_collection):
    title = f"{'word ' * 50}\x00\n"
    corpus = [{"_id": "../a b/é", "title": title, "text": "one"}, {"_id": "x" * 300, "text": "two"}]
    await empty_library().upload(client, read_collection(make_collection(corpus)))

    names, titles, _ = zip(*sorted(hub.uploads), strict=True)
    assert names == ("-a-b-.txt", f"{'x' * 80}.txt")
    assert titles == (("word " * 40).strip(), "")


async def test_half_a_surrogate_pair_can_be_uploaded(hub, client, make_collection):
    await empty_library().upload(client, read_collection(make_collection([{"_id": "a", "text": "x\ud800y"}])))

    assert hub.uploads[0][2] == "x?y"


async def test_eight_documents_are_uploaded_at_a_time(hub, client, make_collection):
    corpus = [{"_id": str(number), "text": str(number)} for number in range(30)]

    await empty_library().upload(client, read_collection(make_collection(corpus)))

    assert (hub.most_open, len(hub.uploads)) == (8, 30)


async def test_a_limit_on_uploads_loses_nothing(hub, client, folder, pauses):
    hub.at_first["/documents"] = [limited("3")] * 6
    library = empty_library()

    await library.upload(client, read_collection(folder))

    assert list(library.documents) == ["fox", "owl", "rye", "void"]
    assert pauses == [3.0] * 6


async def test_two_ids_of_the_same_content_share_a_document(client, make_collection):
    corpus = [{"_id": "a", "title": "A", "text": "same"}, {"_id": "b", "text": "other"}, {"_id": "c", "text": "same"}]
    library = empty_library()

    await library.upload(client, read_collection(make_collection(corpus)))

    assert library.shared == 1
    assert sorted(library.ids().values()) == [["a", "c"], ["b"]]


async def test_a_document_that_is_too_large_is_counted_and_left(hub, client, folder):
    hub.at_first["/documents"] = [refused(413)]
    library = empty_library()

    await library.upload(client, read_collection(folder))

    assert library.refused == {"413, No.": 1}
    assert len(library.documents) == 3


async def test_a_hub_that_takes_nothing_stops_the_upload(hub, client, folder):
    hub.at_first["/documents"] = [refused(507)] * 4

    with pytest.raises(CannotEvaluate, match='does not take the document "fox": 507, No'):
        await empty_library().upload(client, read_collection(folder))


async def test_only_what_is_missing_is_uploaded(hub, client, folder):
    library = empty_library()
    library.documents = {"owl": "1", "rye": "2"}

    await library.upload(client, read_collection(folder))

    assert sorted(name for name, _, _ in hub.uploads) == ["fox.txt", "void.txt"]
    assert list(library.documents) == ["fox", "owl", "rye", "void"]


async def test_nothing_missing_nothing_uploaded(hub, client, folder, capsys):
    library = empty_library()
    library.documents = dict.fromkeys(read_collection(folder).documents, "1")

    await library.upload(client, read_collection(folder))

    assert hub.uploads == []
    assert capsys.readouterr().err == ""


async def test_processing_is_waited_for_and_failures_counted_on_all_pages(hub, client, make_collection, pauses):
    texts = {"a": "text", "b": " ", "c": "  ", "d": "", "e": "more"}
    library = empty_library()
    collection = make_collection([{"_id": name, "text": text} for name, text in texts.items()])
    await library.upload(client, read_collection(collection))

    await library.wait_until_read(client)

    assert {document["status"] for document in hub.documents.values()} == {"ready", "failed"}
    assert library.failed == {"empty": 3}
    assert pauses == [1.0, 1.0]


async def test_a_collection_without_any_text_cannot_be_searched(client, make_collection):
    library = empty_library()
    await library.upload(client, read_collection(make_collection([{"_id": "a", "text": ""}])))

    with pytest.raises(CannotEvaluate, match=r"No document can be searched \(empty\)"):
        await library.wait_until_read(client)


async def test_a_hub_without_documents_cannot_be_searched(client):
    with pytest.raises(CannotEvaluate, match=r"No document can be searched \(there is none\)"):
        await empty_library().wait_until_read(client)


async def test_a_hub_that_finishes_nothing_is_given_up(hub, client, folder, monkeypatch):
    monkeypatch.setattr(libraries, "_STUCK_SECONDS", -1.0)
    hub.at_a_time = 0
    library = empty_library()
    await library.upload(client, read_collection(folder))

    with pytest.raises(CannotEvaluate, match=r"4 left\. See that a worker runs"):
        await library.wait_until_read(client)


async def test_a_hub_that_is_slow_is_waited_for(hub, client, folder, pauses):
    slow = {"ready": 0, "failed": 0, "processing": 4}
    hub.at_first["/usage"] = [lambda request: httpx.Response(200, json=slow)] * 5
    library = empty_library()
    await library.upload(client, read_collection(folder))

    await library.wait_until_read(client)

    assert pauses == [1.0] * 6


# ---- the way back


def test_what_was_kept_is_found_by_its_owner_only(tmp_path):
    path = tmp_path / "kept.json"
    library = Library(HUB, "digest", ACCESS, {"a": "1", "b": "1"})

    keep(library, path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert find_kept(path, hub=HUB, digest="digest") == library


def test_the_first_time_nothing_was_kept(tmp_path):
    assert find_kept(tmp_path / "kept.json", hub=HUB, digest="digest") is None


@pytest.mark.parametrize(("hub", "digest"), [("http://127.0.0.1:9000", "digest"), (HUB, "other")])
def test_another_hub_or_collection_is_not_mixed_in(tmp_path, hub, digest):
    path = tmp_path / "kept.json"
    keep(empty_library(), path)

    with pytest.raises(CannotEvaluate, match=r"is for another collection, or for the hub at http://127.0.0.1:8000"):
        find_kept(path, hub=hub, digest=digest)


@pytest.mark.parametrize("content", ["no JSON", "[]", "{}", json.dumps({"hub": 1, "digest": 2, "access": {"x": 1}})])
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "kept.json"
    path.write_text(content)

    with pytest.raises(CannotEvaluate, match="is not what --again writes"):
        find_kept(path, hub=HUB, digest="digest")

    assert path.read_text() == content


@pytest.mark.parametrize("name", ["kept.json", "docs/../kept.json"])
def test_a_password_is_not_put_into_the_checkout(name):
    with pytest.raises(CannotEvaluate, match="lies in the checkout"):
        find_kept(PROJECT_ROOT / name, hub=HUB, digest="digest")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CannotEvaluate, match=r"cannot be written .*Name another file with --again"):
        keep(empty_library(), Path(tmp_path))


# ---- cutting


@pytest.mark.parametrize(
    ("text", "most", "left"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two"),
        ("one two three", 7, "one two"),
        ("one two three", 6, "one"),
        ("undivided", 4, "undi"),
        (" one\n\ttwo\x07 ", 50, "one two"),
        ("\x00\n", 5, ""),
    ],
)
def test_a_text_is_cut_at_a_word(text, most, left):
    assert cut(text, most) == left
