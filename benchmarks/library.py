"""A collection inside a hub: brought there over the API, and the way back to it for another run."""

import asyncio
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.beir import CannotEvaluate, Collection, Writing
from benchmarks.patient import Access, PatientClient, problem
from benchmarks.progress import Progress
from shared.config.env_constants import PROJECT_ROOT
from shared.text import clean_line

_UPLOADERS = 8
_LONGEST_TITLE = 200
_POLL_SECONDS = 1.0
# A hub that has not finished a single document for so long has nobody who works on them.
_STUCK_SECONDS = 900.0
_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]+")
# What the hub may say about one file, and mean that file only.
_REFUSALS = (httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.UNPROCESSABLE_ENTITY)


@dataclass(slots=True)
class Library:
    """Whose documents they are, and which document each of the collection's ids became.

    Ids of the same content share one document. `refused` and `failed` count what no search can find, by reason.
    """

    hub: str
    digest: str
    access: Access
    documents: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def shared(self) -> int:
        """How many ids have no document of their own."""
        return len(self.documents) - len(set(self.documents.values()))

    def ids(self) -> dict[str, list[str]]:
        """The collection's ids of each document, in the collection's order."""
        found: dict[str, list[str]] = {}
        for name, document in self.documents.items():
            found.setdefault(document, []).append(name)
        return found

    async def upload(self, client: PatientClient, collection: Collection) -> None:
        """Bring what is not there yet, several documents at a time."""
        missing = [name for name in collection.documents if name not in self.documents]
        if not missing:
            return
        turns = iter(missing)
        with Progress("uploading", len(missing)) as progress:
            carriers = (self._carry(client, collection, turns, progress) for _ in range(_UPLOADERS))
            await asyncio.gather(*carriers)
        self.documents = {name: self.documents[name] for name in collection.documents if name in self.documents}

    async def _carry(
        self, client: PatientClient, collection: Collection, turns: Iterator[str], progress: Progress
    ) -> None:
        for name in turns:
            answer = await client.call("POST", "/documents", **_form(name, collection.documents[name]))
            if answer.status_code in (httpx.codes.OK, httpx.codes.ACCEPTED):
                self.documents[name] = answer.json()["id"]
            elif answer.status_code in _REFUSALS:
                self.refused[problem(answer)] += 1
            else:
                raise CannotEvaluate(f'The hub does not take the document "{name}": {problem(answer)}')
            progress.add()

    async def wait_until_read(self, client: PatientClient) -> None:
        """Return when every document is ready or has failed, and count why they did."""
        total = len(set(self.documents.values()))
        done, since = -1, time.monotonic()
        with Progress("processing", total) as progress:
            while True:
                usage = await client.read("/usage")
                now = usage["ready"] + usage["failed"]
                progress.show(now)
                if not usage["processing"]:
                    break
                if now != done:
                    done, since = now, time.monotonic()
                elif time.monotonic() - since > _STUCK_SECONDS:
                    minutes, left = _STUCK_SECONDS / 60, usage["processing"]
                    raise CannotEvaluate(
                        f"The hub has finished no document for {minutes:.0f} minutes, and has {left} left. See that a "
                        "worker runs beside it: make run starts one."
                    )
                await client.pause(_POLL_SECONDS)
        if usage["failed"]:
            self.failed = await _reasons(client)
        if not usage["ready"]:
            reasons = ", ".join(self.failed | self.refused) or "there is none"
            raise CannotEvaluate(f"No document can be searched ({reasons}). Look at the collection's texts.")


def _form(name: str, writing: Writing) -> dict[str, Any]:
    """What an upload sends. Only the content decides whether two of them are one document."""
    filename = f"{_UNUSUAL.sub('-', name)[:80] or 'document'}.txt"
    content = writing.text.encode("utf-8", "replace")
    form: dict[str, Any] = {"files": {"file": (filename, content, "text/plain")}}
    title = cut(writing.title, _LONGEST_TITLE)
    return {**form, "data": {"title": title}} if title else form


async def _reasons(client: PatientClient) -> Counter[str]:
    reasons: Counter[str] = Counter()
    page: dict[str, Any] = {"next_cursor": ""}
    while page["next_cursor"] is not None:
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        page = await client.read("/documents", status="failed", limit=100, **cursor)
        reasons.update(document["failure_code"] for document in page["items"])
    return reasons


def cut(text: str, most: int) -> str:
    """A text in one line, without its last words where it has more than so many characters."""
    line = clean_line(text)
    if len(line) <= most:
        return line
    words, space, _ = line[: most + 1].rpartition(" ")
    return words if space else line[:most]


def keep(library: Library, path: Path) -> None:
    """Write down the way back, for the owner of the file only: it holds a password."""
    kept = {
        "hub": library.hub,
        "digest": library.digest,
        "access": asdict(library.access),
        "documents": library.documents,
    }
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise CannotEvaluate(f"{path} cannot be written ({error}). Name another file with --again.") from error
    with os.fdopen(descriptor, "w") as file:
        json.dump(kept, file)


def find_kept(path: Path, *, hub: str, digest: str) -> Library | None:
    """The library that an earlier run wrote down; None when there is no such file yet."""
    if path.resolve().is_relative_to(PROJECT_ROOT):
        raise CannotEvaluate(f"{path} lies in the checkout, and will hold a password. Name a file outside.")
    try:
        kept = json.loads(path.read_text())
        library = Library(kept["hub"], kept["digest"], Access(**kept["access"]), dict(kept["documents"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotEvaluate(f"{path} is not what --again writes ({error!r}). Name another file.") from error
    if (library.hub, library.digest) != (hub, digest):
        raise CannotEvaluate(f"{path} is for another collection, or for the hub at {library.hub}. Name another file.")
    return library
