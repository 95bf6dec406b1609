"""Collections for measuring search, in the BEIR layout: what was written, what was asked, and what answers it.

A folder holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`), and `qrels.tsv` or
`qrels/test.tsv`: query, document and grade of each judgement, separated by tabs, with or without a line of headings.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAYOUT = "It needs corpus.jsonl, queries.jsonl, and qrels.tsv or qrels/test.tsv."
_CORPUS, _QUERIES = "corpus.jsonl", "queries.jsonl"
_JUDGEMENTS = ("qrels.tsv", "qrels/test.tsv")
_MOST_SHOWN = 60

type Grades = dict[str, dict[str, float]]


class CannotEvaluate(Exception):
    """Stops an evaluation with what is missing, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A document as a collection has it. Either part may be empty."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Collection:
    """All documents, and the queries that were judged. A grade above 0 is a relevant document's.

    `unasked` counts the queries that nobody judged, `unknown` the judgements of queries that are not there, `strange`
    those of documents that are not there; the last stay in `grades`, as what no search can find. `digest` tells the
    documents of two collections apart.
    """

    documents: dict[str, Writing]
    queries: dict[str, str]
    grades: Grades
    digest: str
    unasked: int
    unknown: int
    strange: int


def read_collection(folder: Path) -> Collection:
    """Read a folder. Raises `CannotEvaluate` that names the file and the line."""
    if not folder.is_dir():
        raise CannotEvaluate(f"There is no folder {folder}. Name one: make eval DATA=folder. {LAYOUT}")
    corpus, queries = _existing(folder, _CORPUS), _existing(folder, _QUERIES)
    judgements = _existing(folder, *_JUDGEMENTS)
    documents = {name: Writing(_words(record, "title"), text) for name, text, record in _records(corpus)}
    asked = {name: text for name, text, _ in _records(queries)}
    grades = _read_grades(judgements)
    judged = {query: found for query, found in grades.items() if query in asked}
    if not documents or not judged:
        lacking = f"no document in {corpus}" if not documents else f"no query of {queries} that {judgements} judges"
        raise CannotEvaluate(f"There is {lacking}, so nothing to measure. Take the files of one collection.")
    with corpus.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Collection(
        documents,
        {query: asked[query] for query in judged},
        judged,
        digest,
        unasked=len(asked) - len(judged),
        unknown=sum(len(found) for query, found in grades.items() if query not in asked),
        strange=sum(document not in documents for found in judged.values() for document in found),
    )


def _existing(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CannotEvaluate(f"There is no {' or '.join(names)} in {folder}. {LAYOUT}")


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that says something, with where it stands. A text may hold any character that JSON does."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            where = f"{path}, line {number}"
            try:
                line = raw.decode("utf-8-sig").strip("\r\n")
            except UnicodeDecodeError as error:
                raise CannotEvaluate(f"{where} is not UTF-8 ({error}). Convert the file to UTF-8.") from error
            if line.strip():
                yield where, line


def _records(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Id, text and the whole of each line's object."""
    seen: dict[str, str] = {}
    for where, line in _lines(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CannotEvaluate(f"{where} is not JSON ({error}): {line[:_MOST_SHOWN]!r}. Correct it.") from error
        if not isinstance(record, dict) or "_id" not in record or "text" not in record:
            raise CannotEvaluate(f'{where} is not an object with "_id" and "text": {line[:_MOST_SHOWN]!r}. Correct it.')
        name = str(record["_id"])
        if name in seen:
            raise CannotEvaluate(f'{where} has the _id "{name}" of {seen[name]}. Give one of the two another.')
        seen[name] = where
        yield name, _words(record, "text"), record


def _words(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    return "" if value is None else str(value)


def _read_grades(path: Path) -> Grades:
    grades: Grades = {}
    for place, (where, line) in enumerate(_lines(path)):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 3:
            raise CannotEvaluate(
                f"{where} has not three fields, query, document and score, with tabs between: {line[:_MOST_SHOWN]!r}."
            )
        query, document, score = fields
        grade = _number(score)
        if grade is None and place == 0:
            continue  # the headings
        if grade is None:
            raise CannotEvaluate(f"{where} ends in {score[:_MOST_SHOWN]!r}, which is no score. Put a number there.")
        grades.setdefault(query, {})[document] = grade
    return grades


def _number(score: str) -> float | None:
    try:
        number = float(score)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
