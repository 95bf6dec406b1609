"""The visitors of a soak test: they ask for random creators, and look through each answer for rows of another."""

import asyncio
import contextlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.stage import Person, mark

_WORDS = ("breath", "season", "harvest", "voice", "margin", "garden", "lesson", "bridge", "record", "candle", "market")
_MARK = re.compile(r"creator(\d{5})")
# Of a hundred requests. The last two are meant to fail: somebody asks for what is another's, and somebody leaves.
_SHARES = {
    "list": 24,
    "detail": 18,
    "me": 12,
    "search": 14,
    "unchanged": 8,
    "usage": 4,
    "profile": 4,
    "rename": 6,
    "upload": 2,
    "delete": 1,
    "steal": 4,
    "leave": 3,
}
_PAUSE_SECONDS = 0.02


@dataclass
class Creator:
    """One of those whose rows are asked for, and what is known to be theirs."""

    number: int
    person: Person
    documents: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """What came back."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    rows_seen: int = 0
    uploads: int = 0


class Visitors:
    """Some ask without end, others listen. Every text that a creator has bears its `mark`, so a foreign row shows."""

    def __init__(self, address: str, people: list[Person]) -> None:
        self.address = address
        self.creators = [Creator(number, person, [person.document_id]) for number, person in enumerate(people)]
        self.found = Findings()
        self.owner_of: dict[str, int] = {person.document_id: number for number, person in enumerate(people)}
        self._doing: dict[str, Callable[[Creator], Awaitable[httpx.Response | None]]] = {
            name: getattr(self, f"_{name}") for name in _SHARES
        }
        self._uploaded = 0

    async def run(self, *, seconds: float, requests: int, sockets: int) -> None:
        """Come, ask and listen for so long. What was found stands in `found`."""
        limits = httpx.Limits(max_connections=requests, max_keepalive_connections=requests)
        async with httpx.AsyncClient(base_url=f"{self.address}/api/v1", limits=limits, timeout=30) as self._client:
            until = time.monotonic() + seconds
            everybody = [self._ask(until) for _ in range(requests)] + [self._listen(until) for _ in range(sockets)]
            await asyncio.gather(*everybody)

    async def unfinished(self) -> int:
        """How many of the uploaded documents are neither ready nor deleted."""
        left = 0
        async with httpx.AsyncClient(base_url=f"{self.address}/api/v1", timeout=30) as client:
            for creator in self.creators:
                for document in creator.documents[1:]:
                    answer = await client.get(f"/documents/{document}", headers=creator.person.headers)
                    left += answer.status_code != 404 and answer.json()["status"] != "ready"
        return left

    async def _ask(self, until: float) -> None:
        names, weights = list(_SHARES), list(_SHARES.values())
        while time.monotonic() < until:
            creator = random.choice(self.creators)
            name = random.choices(names, weights)[0]
            began = time.perf_counter()
            try:
                answer = await self._doing[name](creator)
            except httpx.HTTPError as error:
                self.found.broken.append(f"{name}: {error!r}")
                continue
            self.found.asked[name] += 1
            if answer is not None:
                self.found.milliseconds.append((time.perf_counter() - began) * 1000)
                self._look_through(name, creator, answer)
            await asyncio.sleep(random.random() * _PAUSE_SECONDS)

    def _look_through(self, name: str, creator: Creator, answer: httpx.Response) -> None:
        self.found.statuses[answer.status_code] += 1
        wanted = {"upload": (200, 202), "delete": (204, 404), "steal": (404,), "unchanged": (200, 304)}
        # What another visitor has deleted meanwhile is gone.
        gone = (404,) if name in ("detail", "rename") else ()
        if answer.status_code not in wanted.get(name, (200,)) + gone:
            self.found.broken.append(f"{name}: {answer.status_code} {answer.text[:200]}")
            return
        # A search says the question again, which may name another on purpose.
        text = answer.text if name != "search" else answer.text.partition('"results":')[2]
        marks = {int(number) for number in _MARK.findall(text)}
        self.found.rows_seen += bool(marks)
        if marks - {creator.number}:
            self.found.foreign.append(f"{name} of {mark(creator.number)}: {text[:500]}")

    # ---- What they do

    async def _get(self, creator: Creator, path: str, **more: Any) -> httpx.Response:
        headers = {**creator.person.headers, **more.pop("headers", {})}
        return await self._client.get(path, headers=headers, **more)

    async def _list(self, creator: Creator) -> httpx.Response:
        return await self._get(creator, "/documents", params=random.choice([{}, {"limit": 3}, {"q": "session"}]))

    async def _detail(self, creator: Creator) -> httpx.Response:
        return await self._get(creator, f"/documents/{random.choice(creator.documents)}")

    async def _me(self, creator: Creator) -> httpx.Response:
        return await self._get(creator, "/auth/me")

    async def _usage(self, creator: Creator) -> httpx.Response:
        return await self._get(creator, "/usage")

    async def _profile(self, creator: Creator) -> httpx.Response:
        return await self._get(creator, "/profile")

    async def _unchanged(self, creator: Creator) -> httpx.Response:
        """The list, and the list again with its tag; now and then with another creator's."""
        asker = random.choice(self.creators) if random.random() < 0.3 else creator
        before = await self._get(asker, "/documents")
        answer = await self._get(creator, "/documents", headers={"If-None-Match": before.headers["ETag"]})
        if asker is not creator and answer.status_code == 304:
            self.found.foreign.append(f"unchanged: {mark(creator.number)} may keep the list of {mark(asker.number)}")
        return answer

    async def _search(self, creator: Creator) -> httpx.Response:
        another = random.choice(self.creators)
        question = random.choice([random.choice(_WORDS), mark(creator.number), mark(another.number)])
        return await self._get(creator, "/search", params={"q": question})

    async def _rename(self, creator: Creator) -> httpx.Response:
        document = random.choice(creator.documents)
        title = f"{random.choice(_WORDS)} of {mark(creator.number)}"
        return await self._client.patch(f"/documents/{document}", headers=creator.person.headers, json={"title": title})

    async def _upload(self, creator: Creator) -> httpx.Response:
        self._uploaded += 1
        lines = [f"{mark(creator.number)} writes about the {word} today." for word in random.sample(_WORDS, 6)]
        text = "\n\n".join([f"Text {self._uploaded} of {mark(creator.number)}.", *lines])
        file = {"file": (f"{self._uploaded}.txt", text.encode(), "text/plain")}
        answer = await self._client.post("/documents", headers=creator.person.headers, files=file)
        if answer.status_code in (200, 202):
            document = answer.json()["id"]
            self.owner_of[document] = creator.number
            creator.documents.append(document)
            self.found.uploads += 1
        return answer

    async def _delete(self, creator: Creator) -> httpx.Response | None:
        """Delete an upload of somebody; the creator who was chosen has mostly none."""
        some = random.sample(self.creators, min(100, len(self.creators)))
        owner = next((one for one in some if len(one.documents) > 1), None)
        if owner is None:
            return None
        return await self._client.delete(f"/documents/{owner.documents.pop()}", headers=owner.person.headers)

    async def _steal(self, creator: Creator) -> httpx.Response | None:
        another = random.choice(self.creators)
        if another is creator:
            return None
        path = f"/documents/{random.choice(another.documents)}"
        if random.random() < 0.5:
            return await self._get(creator, path)
        return await self._client.patch(path, headers=creator.person.headers, json={"title": "Mine"})

    async def _leave(self, creator: Creator) -> None:
        """Ask, and be gone before the answer is there."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(random.choice([self._list, self._search, self._rename])(creator), 0.002)

    async def _listen(self, until: float) -> None:
        last: dict[int, int] = {}  # the number of the event that this client heard last, by creator
        while time.monotonic() < until:
            creator = random.choice(self.creators)
            after = last.get(creator.number)
            address = self.address.replace("http", "ws", 1) + ("/ws" if after is None else f"/ws?after={after}")
            try:
                async with connect(address, additional_headers=creator.person.headers, proxy=None) as socket:
                    leaves = min(until, time.monotonic() + random.uniform(5, 30))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(leaves - time.monotonic()):
                            async for message in socket:
                                self._hear(creator, str(message), last)
                    if random.random() < 0.5:
                        socket.transport.abort()  # without a word
            except (ConnectionClosed, OSError) as error:
                self.found.broken.append(f"socket: {error!r}")

    def _hear(self, creator: Creator, message: str, last: dict[int, int]) -> None:
        """Keep an event. Its number is the next one, whatever connections were lost in between."""
        seq = json.loads(message)["seq"]
        before = last.get(creator.number)
        if before is not None and seq != before + 1:
            self.found.broken.append(f"creator {creator.number} heard event {seq} after {before}")
        last[creator.number] = seq
        self.found.events.append((creator.number, message))
