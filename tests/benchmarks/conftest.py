"""A hub that is none, a small collection, and clients that do not really wait."""

import asyncio
import json

import pytest

from benchmarks.patient import PatientClient
from tests.benchmarks.stand_in import StandInHub

CORPUS = [
    {"_id": "fox", "title": "On foxes", "text": "brown foxes hunt mice"},
    {"_id": "owl", "title": "On owls", "text": "owls hunt mice at night"},
    {"_id": "rye", "title": "", "text": "rye bread with butter"},
    {"_id": "void", "title": "Nothing", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "who will hunt mice at night"},
    {"_id": "q2", "text": "bread"},
    {"_id": "q3", "text": "nobody has judged this"},
]
JUDGEMENTS = [("q1", "owl", 2), ("q1", "fox", 1), ("q2", "rye", 1)]


@pytest.fixture
def pauses(monkeypatch):
    """The seconds of every wait, none of which happened."""
    waits = []

    async def pause(client, seconds):
        waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(PatientClient, "pause", pause)
    return waits


@pytest.fixture
def hub(pauses):
    return StandInHub()


@pytest.fixture
def make_collection(tmp_path):
    """Write a collection; returns its folder."""

    def make(corpus=CORPUS, queries=QUERIES, judgements=JUDGEMENTS, *, qrels="qrels.tsv", headings=True):
        folder = tmp_path / "collection"
        (folder / qrels).parent.mkdir(parents=True, exist_ok=True)
        for name, records in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
            (folder / name).write_text("".join(f"{json.dumps(record)}\n" for record in records))
        lines = ["query-id\tcorpus-id\tscore"] if headings else []
        lines += ["\t".join(map(str, judgement)) for judgement in judgements]
        (folder / qrels).write_text("".join(f"{line}\n" for line in lines))
        return folder

    return make


@pytest.fixture
def folder(make_collection):
    return make_collection()
