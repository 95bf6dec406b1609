"""A client of a hub that is measured: it waits when it is told to, and signs in anew when its token has expired."""

import asyncio
import secrets
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.beir import CannotEvaluate

# Attempts at what gets no answer, or one that says "later" for another reason than a limit.
_TRIES = 5
_PAUSE_SECONDS = 1.0
_ANSWER_SECONDS = 60.0
# A wait for a limit that is worth a word, lest it look like a standstill.
_LONG_WAIT_SECONDS = 10.0
_OTHER_PORT = "A hub on another port is found with make eval PORT=..."
_START_IT = f"Start one in another terminal with make run. {_OTHER_PORT}"


@dataclass(frozen=True, slots=True)
class Access:
    """How the owner of a creator signs in."""

    email: str
    password: str


class PatientClient:
    """Calls one hub's API as one creator. Safe for several tasks of one event loop at a time.

    `waited` are the seconds spent on waiting for limits. What cannot be helped raises `CannotEvaluate`.
    """

    def __init__(self, hub: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.hub = hub
        self.waited = 0.0
        # Straight to the hub, whatever proxy the surroundings name.
        self._client = httpx.AsyncClient(
            base_url=f"{hub}/api/v1", timeout=_ANSWER_SECONDS, trust_env=False, transport=transport
        )
        self._access: Access | None = None
        self._token = ""
        self._signing_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def require_hub(self) -> None:
        """Return when a hub answers there."""
        answer = await self._send("GET", f"{self.hub}/health/live")
        if answer.status_code != httpx.codes.OK:
            raise CannotEvaluate(f"What answers at {self.hub} is no hub: {problem(answer)}. {_OTHER_PORT}")

    async def register(self) -> Access:
        """Become the owner of a creator that was never there before."""
        access = Access(f"eval-{secrets.token_hex(8)}@example.com", secrets.token_urlsafe(20))
        body = {"email": access.email, "password": access.password, "display_name": "Evaluation"}
        answer = await self._send("POST", "/auth/register", json=body)
        if answer.status_code != httpx.codes.CREATED:
            raise CannotEvaluate(f"The hub registers nobody: {problem(answer)}")
        self._access, self._token = access, answer.json()["access_token"]
        return access

    async def sign_in(self, access: Access) -> None:
        """Become the owner of a creator that is there."""
        answer = await self._send("POST", "/auth/login", json={"email": access.email, "password": access.password})
        if answer.status_code != httpx.codes.OK:
            raise CannotEvaluate(f"The hub does not sign {access.email} in: {problem(answer)}")
        self._access, self._token = access, answer.json()["access_token"]

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request of the creator's. Its `elapsed` is that of the attempt that was answered, to the last byte."""
        token = self._token
        answer = await self._send(method, path, token=token, **options)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._access is not None:
            async with self._signing_in:
                if self._token == token:  # else another task has done it meanwhile
                    await self.sign_in(self._access)
            answer = await self._send(method, path, token=self._token, **options)
        return answer

    async def read(self, path: str, **params: Any) -> dict[str, Any]:
        """What a GET answers."""
        return self.checked(await self.call("GET", path, params=params))

    @staticmethod
    def checked(answer: httpx.Response) -> dict[str, Any]:
        """The body of a 200."""
        if answer.status_code != httpx.codes.OK:
            raise CannotEvaluate(f"{answer.request.url.path} was refused: {problem(answer)}")
        body: dict[str, Any] = answer.json()
        return body

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _send(self, method: str, path: str, *, token: str = "", **options: Any) -> httpx.Response:
        """Under one key, so that a POST which is repeated has happened once."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        left = _TRIES
        while True:
            began = time.perf_counter()
            try:
                answer = await self._client.request(method, path, headers=headers, **options)
            except httpx.TransportError as error:
                left -= 1
                if not left:
                    raise CannotEvaluate(f"No hub answers at {self.hub} ({error!r}). {_START_IT}") from error
                await self.pause(_PAUSE_SECONDS)
                continue
            answer.elapsed = timedelta(seconds=time.perf_counter() - began)
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                await self._wait_out(answer)
                continue
            left -= 1
            if "Retry-After" not in answer.headers or not left:
                return answer
            await self.pause(_seconds(answer))

    async def _wait_out(self, answer: httpx.Response) -> None:
        seconds = _seconds(answer)
        if seconds >= _LONG_WAIT_SECONDS:
            print(f"  the hub's limits ask for a wait of {seconds:.0f} s", file=sys.stderr, flush=True)
        self.waited += seconds
        await self.pause(seconds)


def problem(answer: httpx.Response) -> str:
    """Why something was refused, in the hub's own words where it has some."""
    try:
        said = answer.json()
        fields = "; ".join(f"{error['field']}: {error['message']}" for error in said.get("errors") or ())
        return f"{answer.status_code}, {said['detail']} {fields}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {answer.status_code}"


def _seconds(answer: httpx.Response) -> float:
    try:
        return max(float(answer.headers["Retry-After"]), 0.0)
    except (KeyError, ValueError):
        return _PAUSE_SECONDS
