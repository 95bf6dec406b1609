"""What `make search-trial` does to a hub's documents, and what it knows of them at each moment."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from benchmarks.sheets import Content, Mark, marks_in, name_of, passage, sheet, title

_UNFINISHED = ("queued", "processing")
# A version that could not be restored: it was given up, or never was ready. A passage whose version answers no more.
_TOO_LATE = (404, 409)
_FEWEST, _MOST = 5, 12
_PASSAGES, _LONG = 14, 140
# So many of a shelf's documents are processed at a time: more would wait, and nothing would happen to them.
_PENDING = 2
_PAUSE_SECONDS = 0.05
_WAIT_SECONDS = 0.2


@dataclass(slots=True)
class Watched:
    """Something whose changes are watched: it stayed as it is while `turn` is the same and nobody is at it.

    Others read it while it changes, without a lock: first `turn`, which counts on before and after a change.
    """

    turn: int = 0
    busy: int = 0

    def begin(self) -> None:
        self.turn += 1
        self.busy += 1

    def end(self) -> None:
        self.turn += 1
        self.busy -= 1

    def stayed(self, before: "Watched") -> bool:
        """Whether nothing was done to it between then and now."""
        return self.turn == before.turn and not self.busy and not before.busy


@dataclass(slots=True)
class Spot(Watched):
    """What its creator has made of a passage."""

    hidden: bool = False
    edit: int | None = None


@dataclass(slots=True)
class Known(Watched):
    """A document. Its own turn counts whatever may change which passages answer: not edits, nor titles."""

    id: str = ""
    creator: int = 0
    number: int = 0
    deleted: bool = False
    # Being processed: which version answers may change at any moment.
    pending: bool = False
    # Of each version, and all that were ever sent, which is before there is a version.
    contents: dict[int, Content] = field(default_factory=dict)
    sent: list[Content] = field(default_factory=list)
    answers: Content = field(default_factory=dict)
    spots: dict[Mark, Spot] = field(default_factory=dict)
    edits: int = 0

    def marks(self) -> list[Mark]:
        """The passages that answer, the hidden ones too."""
        return [Mark(self.creator, self.number, place, revision) for place, revision in sorted(self.answers.items())]

    def spot(self, mark: Mark) -> Spot:
        return self.spots.setdefault(mark, Spot())

    def as_it_is(self) -> "Known":
        """A copy that later changes leave alone."""
        while True:
            turn = self.turn
            spots = {mark: replace(spot) for mark, spot in list(self.spots.items())}
            copy = replace(self, answers=dict(self.answers), spots=spots, sent=list(self.sent))
            if self.turn == turn:
                return copy


class Refused(Exception):
    """The hub did not do what it was asked for."""


class Shelf(threading.Thread):
    """Some of a creator's documents, and somebody who changes one after the other until `stopping`."""

    def __init__(
        self, address: str, headers: dict[str, str], creator: int, first: int, seed: int, stopping: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self.creator, self.next_number = creator, first
        self.chance = random.Random(seed)
        self.client = httpx.Client(base_url=f"{address}/api/v1", headers=headers, trust_env=False, timeout=120)
        self.stopping = stopping
        self.known: dict[str, Known] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.act()
                self.look()
                time.sleep(_PAUSE_SECONDS)
        except Exception as error:  # a thread that ends in silence would make the trial an easy one
            self.wrong.append(f"creator {self.creator}: {error!r}")

    def act(self) -> None:
        """Bring a document or change one."""
        there = [document for document in list(self.known.values()) if not document.deleted]
        changes = [(self.hide_or_show, 6), (self.edit, 6), (self.retitle, 4), (self.restore, 3)]
        room = sum(document.pending for document in there) < _PENDING
        if room:
            changes += [(self.bring_version, 6), (self.process_again, 2)]
        if len(there) > _FEWEST:
            changes += [(self.delete, 1 if len(there) < _MOST else 5)]
        if not there or (room and self.chance.random() < (0.1 if len(there) > _FEWEST else 0.5)):
            self.upload(self.chance.randint(1, _PASSAGES))
        else:
            (change,) = self.chance.choices([change for change, _ in changes], [weight for _, weight in changes])
            change(self.chance.choice(there))

    def upload(self, passages: int) -> None:
        number = self.next_number
        self.next_number += 1
        content = dict.fromkeys(range(passages), 0)
        tag = self.chance.choice(("red", "green"))
        file = (f"{name_of(self.creator, number)}.md", sheet(self.creator, number, content))
        answer = self._send("POST", "/documents", files={"file": file}, data={"title": title(self.chance), "tags": tag})
        document = Known(id=answer.json()["id"], creator=self.creator, number=number)
        document.contents[1] = content
        document.sent.append(content)
        self._wait_for(document)
        self.known[document.id] = document
        self.counts["uploads"] += 1

    def delete(self, document: Known) -> None:
        document.begin()
        self._send("DELETE", f"/documents/{document.id}")
        document.deleted = True
        self.counts["deletions"] += 1

    def bring_version(self, document: Known) -> None:
        """Some passages written anew, some more or fewer at the end."""
        last = document.contents[max(document.contents)]
        size = max(1, len(last) + self.chance.randint(-3, 3))
        revision = 1 + max(max(content.values()) for content in document.contents.values())
        content = {
            place: revision if place not in last or self.chance.random() < 0.4 else last[place] for place in range(size)
        }
        content[self.chance.randrange(size)] = revision
        document.sent.append(content)
        self._wait_for(document)
        file = (f"{name_of(self.creator, document.number)}.md", sheet(self.creator, document.number, content))
        answer = self._send("POST", f"/documents/{document.id}/versions", files={"file": file})
        document.contents[answer.json()["version"]] = content
        self.counts["new versions"] += 1

    def process_again(self, document: Known) -> None:
        self._wait_for(document)
        answer = self._send("POST", f"/documents/{document.id}/reprocess")
        version = answer.json()["version"]
        document.contents.setdefault(version, document.contents[max(document.contents)])
        self.counts["processed again"] += 1

    def restore(self, document: Known) -> None:
        number = self.chance.choice(list(document.contents))
        self._wait_for(document)
        path = f"/documents/{document.id}/versions/{number}/restore"
        answer = self._send("POST", path, may_be=_TOO_LATE)
        if answer.is_success:
            document.contents.setdefault(answer.json()["version"], document.contents[number])
            self.counts["restores"] += 1

    def hide_or_show(self, document: Known) -> None:
        self._correct(document, lambda mark, spot: {"hidden": not spot.hidden})

    def edit(self, document: Known) -> None:
        def text(mark: Mark, spot: Spot) -> dict[str, Any]:
            if spot.edit is not None and self.chance.random() < 0.3:
                return {"text": None}
            document.edits += 1
            return {"text": passage(mark, self.chance, document.edits)}

        self._correct(document, text)

    def _correct(self, document: Known, what: Callable[[Mark, Spot], dict[str, Any]]) -> None:
        after = self.chance.randint(-1, max(0, len(document.answers) - 2))
        query = {} if after < 0 else {"after": after}
        rows = self._send("GET", f"/documents/{document.id}/passages", params={"limit": 1, **query}).json()["items"]
        if not rows:
            return
        (mark,) = marks_in(rows[0]["text"])
        spot = document.spot(mark)
        change = what(mark, spot)
        spot.begin()
        path = f"/documents/{document.id}/passages/{rows[0]['id']}"
        answer = self._send("PATCH", path, json=change, may_be=_TOO_LATE)
        if answer.is_success:
            spot.hidden = change.get("hidden", spot.hidden)
            if "text" in change:
                spot.edit = None if change["text"] is None else document.edits
            self.counts["edits" if "text" in change else "hidden" if spot.hidden else "shown"] += 1
        spot.end()

    def retitle(self, document: Known) -> None:
        self._send("PATCH", f"/documents/{document.id}", json={"title": title(self.chance)})
        self.counts["titles"] += 1

    def begin(self, *, long: bool) -> None:
        """Bring the first documents; a long one has more passages than a row of postings."""
        for passages in (_LONG if long else _PASSAGES, _PASSAGES, 1):
            self.upload(passages)

    def look(self) -> bool:
        """See which documents have been processed; returns whether all have."""
        waiting = [document for document in list(self.known.values()) if document.pending and not document.deleted]
        for document in waiting:
            said = self._send("GET", f"/documents/{document.id}").json()
            if said["status"] in _UNFINISHED:
                continue
            if said["status"] == "failed":
                self.wrong.append(f"document {document.id} has failed: {said['failure_code']}")
            document.answers = document.contents.get(said["live_version"], {})
            document.pending = False
            document.end()
            self.counts["versions that answered"] += 1
        return not any(document.pending for document in waiting)

    def settle(self, seconds: float) -> None:
        """Wait until all is processed."""
        deadline = time.monotonic() + seconds
        while not self.look():
            if time.monotonic() > deadline:
                self.wrong.append(f"creator {self.creator}: documents are not processed after {seconds:.0f} s")
                return
            time.sleep(_WAIT_SECONDS)

    def _wait_for(self, document: Known) -> None:
        if not document.pending:
            document.begin()
            document.pending = True

    def _send(self, method: str, path: str, *, may_be: tuple[int, ...] = (), **what: Any) -> httpx.Response:
        answer = self.client.request(method, path, **what)
        if not (answer.is_success or answer.status_code in may_be):
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer
