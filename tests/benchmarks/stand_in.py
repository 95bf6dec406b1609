"""A hub that is none: what `make eval` asks of one, kept in memory, with searches that can be worked out by hand.

By words it finds the documents that share most words with the question; by meaning every document, by the alphabet of
their texts; together what it found by words, then the rest.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from email import message_from_bytes
from itertools import islice

import httpx

type Answer = Callable[[httpx.Request], httpx.Response]


def limited(seconds="3"):
    return lambda request: httpx.Response(429, headers={"Retry-After": seconds}, json={"detail": "Too many."})


def unreachable(request):
    raise httpx.ConnectError("nobody there", request=request)


class StandInHub:
    """`at_first[path]` are the answers to the first requests of that path. `most_open` is how many asked at a time."""

    def __init__(self, *, uses_of_a_token=1_000_000, at_a_time=2):
        self.uses_of_a_token, self.at_a_time = uses_of_a_token, at_a_time
        self.at_first: dict[str, list[Answer]] = {}
        self.asked: list[httpx.Request] = []
        self.people: dict[str, str] = {}
        self.tokens: dict[str, int] = {}
        self.by_content: dict[bytes, str] = {}
        self.uploads: list[tuple[str, str, str]] = []
        self.documents: dict[str, dict] = {}
        self.explains = True
        self.open = self.most_open = 0

    @property
    def transport(self):
        return httpx.MockTransport(self._answer_later)

    async def _answer_later(self, request):
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await asyncio.sleep(0)
        self.open -= 1
        return self.answer(request)

    def paths(self):
        return [request.url.path.removeprefix("/api/v1") for request in self.asked]

    def questions(self):
        return [request.url.params["q"] for request in self.asked if request.url.path.endswith("/search")]

    def answer(self, request):
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/v1")
        if self.at_first.get(path):
            return self.at_first[path].pop(0)(request)
        if path == "/health/live":
            return httpx.Response(200)
        if path.startswith("/auth/"):
            return self._sign_in(path, json.loads(request.content))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) <= 0:
            return httpx.Response(401, json={"code": "token_expired", "detail": "Sign in again"})
        self.tokens[token] -= 1
        if request.method == "POST":
            return self._take(request)
        return {"/usage": self._usage, "/documents": self._list, "/search": self._search}[path](request.url.params)

    def _sign_in(self, path, body):
        if path == "/auth/register":
            self.people[body["email"]] = body["password"]
        elif self.people.get(body["email"]) != body["password"]:
            return httpx.Response(401, json={"code": "invalid_credentials", "detail": "Wrong."})
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = self.uses_of_a_token
        return httpx.Response(201 if path == "/auth/register" else 200, json={"access_token": token})

    def _take(self, request):
        head = b"Content-Type: " + request.headers["Content-Type"].encode() + b"\r\n\r\n"
        parts = {
            part.get_param("name", header="content-disposition"): part
            for part in message_from_bytes(head + request.content).get_payload()
        }
        content = parts["file"].get_payload(decode=True)
        title = parts["title"].get_payload(decode=True).decode() if "title" in parts else ""
        self.uploads.append((parts["file"].get_filename(), title, content.decode()))
        digest = hashlib.sha256(content).digest()
        if digest in self.by_content:
            return httpx.Response(200, json={"id": self.by_content[digest]})
        name = self.by_content[digest] = f"document-{len(self.documents)}"
        self.documents[name] = {"id": name, "text": content.decode(), "status": "queued", "failure_code": ""}
        return httpx.Response(202, json={"id": name})

    def _usage(self, params):
        waiting = [document for document in self.documents.values() if document["status"] == "queued"]
        for document in islice(waiting, self.at_a_time):
            empty = not document["text"].strip()
            document |= {"status": "failed", "failure_code": "empty"} if empty else {"status": "ready"}
        count = {status: len(self._with(status)) for status in ("ready", "failed")}
        return httpx.Response(200, json={**count, "processing": len(self._with("queued"))})

    def _with(self, status):
        return [document for document in self.documents.values() if document["status"] == status]

    def _list(self, params):
        """A page has one document, so that whoever reads the first page only misses the others."""
        found = self._with(params["status"])
        place = int(params.get("cursor", 0))
        after = str(place + 1) if place + 1 < len(found) else None
        return httpx.Response(200, json={"items": found[place : place + 1], "next_cursor": after})

    def _search(self, params):
        assert (params["group"], params["explain"], params["limit"]) == ("document", "true", "100")
        assert len(params["q"]) <= 500
        words = set(params["q"].split())
        vector = sorted(self._with("ready"), key=lambda document: document["text"])
        shared = {document["id"]: len(words.intersection(document["text"].split())) for document in vector}
        lexical = sorted((one for one in vector if shared[one["id"]]), key=lambda one: -shared[one["id"]])
        fused = [*lexical, *(one for one in vector if one not in lexical)]
        body = {"took_ms": 7, "results": _hits(fused)}
        legs = {"legs": {"lexical": _hits(lexical), "vector": _hits(vector)}} if self.explains else {}
        return httpx.Response(200, json={**body, **legs})


def _hits(documents):
    return [{"document_id": document["id"], "score": 1.0} for document in documents]
