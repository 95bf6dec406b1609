"""`make eval`: how well a running hub finds what people have judged to be relevant.

Brings a collection in the BEIR layout to the hub as one new creator, over the API and nothing else; waits until it is
processed; asks every judged query and compares the answers with the judgements. Prints nDCG@10 and recall@100 of the
search by words, of that by meaning and of both together, how long a search takes, and a line of JSON at the end.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.beir import CannotEvaluate, Collection, read_collection
from benchmarks.library import Library, cut, find_kept, keep
from benchmarks.measures import RECALL_DEPTH, Quality, quality, share_within
from benchmarks.patient import PatientClient
from benchmarks.progress import Progress
from benchmarks.typos import mistype
from shared.config.env_constants import get_env_value

LEXICAL, VECTOR, FUSION = "lexical", "vector", "fusion"
_LEGS = (LEXICAL, VECTOR)
_LONGEST_QUERY = 500


@dataclass(slots=True)
class Answers:
    """What the hub said to all queries: rankings of the collection's ids, and milliseconds."""

    rankings: dict[str, dict[str, list[str]]] = field(default_factory=lambda: {leg: {} for leg in (*_LEGS, FUSION)})
    milliseconds: list[float] = field(default_factory=list)
    took: list[int] = field(default_factory=list)

    def qualities(self, collection: Collection) -> dict[str, Quality]:
        return {leg: quality(rankings, collection.grades) for leg, rankings in self.rankings.items()}


def main(arguments: Sequence[str] | None = None, transport: httpx.AsyncBaseTransport | None = None) -> None:
    """Measure, and say what came of it."""
    wanted = _options(arguments)
    try:
        if not wanted.folder:
            raise CannotEvaluate("Say which collection: make eval DATA=folder")
        collection = read_collection(Path(wanted.folder).expanduser())
        _introduce(collection)
        asyncio.run(_evaluate(wanted, collection, transport))
    except (CannotEvaluate, OSError) as failure:
        sys.exit(f"The evaluation stopped. {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make eval", description="Measure how well a running hub finds.")
    parser.add_argument("folder", help="a collection in the BEIR layout")
    parser.add_argument("--port", type=int, default=get_env_value("PORT", fallback=True), help="where the hub is")
    parser.add_argument("--typos", type=int, metavar="SEED", help="ask again with a typo in each query")
    parser.add_argument("--again", type=_file, metavar="FILE", help="remember the uploads there, for the next time")
    return parser.parse_args(arguments)


def _file(named: str) -> Path:
    return Path(named).expanduser()


async def _evaluate(
    wanted: argparse.Namespace, collection: Collection, transport: httpx.AsyncBaseTransport | None
) -> None:
    async with PatientClient(f"http://127.0.0.1:{wanted.port}", transport) as client:
        await client.require_hub()
        library = await _bring(client, collection, wanted.again)
        _say_what_is_missing(library)
        queries = _cut_queries(collection, _LONGEST_QUERY if wanted.typos is None else _LONGEST_QUERY - 1)
        figures = await _measure(client, library, collection, queries, "asking")
        if wanted.typos is not None:
            mistyped = _mistyped(queries, wanted.typos)
            clean = figures["ndcg@10"]
            figures = {**await _measure(client, library, collection, mistyped, "with typos"), "ndcg@10_clean": clean}
            lost = 1 - figures["ndcg@10"] / clean if clean else 0.0
            print(f"typos (seed {wanted.typos}) lose {lost:.1%} of nDCG@10: {clean:.4f}, then {figures['ndcg@10']:.4f}")
        if client.waited:
            print(f"{client.waited:.0f} s were spent waiting for the hub's limits, which no latency counts")
    print(json.dumps(figures), flush=True)


async def _bring(client: PatientClient, collection: Collection, again: Path | None) -> Library:
    """Have the collection in the hub: brought now, or by an earlier run, which may have been cut off."""
    library = find_kept(again, hub=client.hub, digest=collection.digest) if again else None
    if library is None:
        library = Library(client.hub, collection.digest, await client.register())
    else:
        try:
            await client.sign_in(library.access)
        except CannotEvaluate as error:
            raise CannotEvaluate(f"{error} Delete {again} to upload the collection anew.") from error
    if again:
        keep(library, again)
    await library.upload(client, collection)
    if again:
        keep(library, again)
    await library.wait_until_read(client)
    return library


def _cut_queries(collection: Collection, most: int) -> dict[str, str]:
    """What will be asked. Queries of which nothing can be read are left out, and found nothing."""
    whole = {query: cut(text, sys.maxsize) for query, text in collection.queries.items()}
    queries = {query: cut(text, most) for query, text in whole.items() if text}
    _remark(f"queries of more than {most} characters, cut there", sum(queries[one] != whole[one] for one in queries))
    _remark("queries without text, not asked, counting as 0", len(whole) - len(queries))
    return queries


def _mistyped(queries: dict[str, str], seed: int) -> dict[str, str]:
    """Each query has chances of its own, so that it gets the same typo whatever else is asked."""
    mistyped = {query: mistype(text, random.Random(f"{seed} {query}")) for query, text in queries.items()}
    same = sum(text == queries[query] for query, text in mistyped.items())
    _remark("queries without a word of four letters, left without a typo", same)
    return mistyped


async def _measure(
    client: PatientClient, library: Library, collection: Collection, queries: dict[str, str], what: str
) -> dict[str, Any]:
    answers = await _ask(client, library, queries, what)
    found = answers.qualities(collection)
    _print(what, found, answers)
    return {
        "ndcg@10": round(found[FUSION].ndcg, 4),
        "recall@100": round(found[FUSION].recall, 4),
        "lexical": round(found[LEXICAL].ndcg, 4),
        "vector": round(found[VECTOR].ndcg, 4),
        "p95_ms": round(share_within(answers.milliseconds, 0.95), 1),
    }


async def _ask(client: PatientClient, library: Library, queries: dict[str, str], what: str) -> Answers:
    """One after the other: how long a search takes should not depend on how many others are asked."""
    answers, ids = Answers(), library.ids()
    with Progress(what, len(queries)) as progress:
        for query, text in queries.items():
            params = {"q": text, "limit": RECALL_DEPTH, "group": "document", "explain": "true"}
            answer = await client.call("GET", "/search", params=params)
            body = client.checked(answer)
            if "legs" not in body:
                raise CannotEvaluate("This hub does not explain its searches. Run the hub of this checkout: make run.")
            for leg, hits in {**{leg: body["legs"][leg] for leg in _LEGS}, FUSION: body["results"]}.items():
                answers.rankings[leg][query] = _ranking(hits, ids)
            answers.milliseconds.append(answer.elapsed.total_seconds() * 1000)
            answers.took.append(body["took_ms"])
            progress.add()
    return answers


def _ranking(hits: list[dict[str, Any]], ids: dict[str, list[str]]) -> list[str]:
    """The collection's ids, best first. Those that share a document follow each other, as equal texts would."""
    documents = dict.fromkeys(hit["document_id"] for hit in hits)
    return [name for document in documents for name in ids.get(document, [document])]


def _introduce(collection: Collection) -> None:
    judgements = sum(map(len, collection.grades.values()))
    print(
        f"{len(collection.documents)} documents, {len(collection.queries)} judged queries, {judgements} judgements",
        flush=True,
    )
    hopeless = sum(all(grade <= 0 for grade in judged.values()) for judged in collection.grades.values())
    _remark("queries without a judgement, not asked", collection.unasked)
    _remark("judgements of queries that are not there, left out", collection.unknown)
    _remark("judgements of documents that are not there, counting as not found", collection.strange)
    _remark("queries without a relevant document, counting as 0", hopeless)


def _say_what_is_missing(library: Library) -> None:
    _remark("documents with the content of another, whose place they share", library.shared)
    for what, reasons in (("failed", library.failed), ("were refused", library.refused)):
        told = ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common())
        _remark(f"documents that {what}, not to be found ({told})", reasons.total())


def _remark(what: str, count: int) -> None:
    if count:
        print(f"  {what}: {count}", flush=True)


def _print(what: str, found: dict[str, Quality], answers: Answers) -> None:
    print(f"{what:<12} nDCG@10  recall@100")
    for leg, measured in found.items():
        print(f"  {leg:<10} {measured.ndcg:7.4f} {measured.recall:11.4f}")
    half, most = (share_within(answers.milliseconds, share) for share in (0.5, 0.95))
    mean = sum(answers.took) / len(answers.took) if answers.took else 0.0
    print(f"a search: half take {half:.0f} ms or less, 95 of 100 {most:.0f} ms; {mean:.0f} ms on average in the hub")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
