"""A hub of its own, with servers that a test may kill."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from psycopg.conninfo import conninfo_to_dict

from shared.config.env_constants import PROJECT_ROOT, child_environment
from shared.embedded import places, process
from shared.embedded.testing import Servers

PATIENCE = 60.0


def eventually(happens: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true answer of `happens`, asked again until the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := happens():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds:.0f} s: {what}")


class OwnHub:
    """Web, worker, Postgres and Redis as separate processes, each of which can be killed and started again.

    `application` is what the web process serves, `commands` where Python finds the worker.
    """

    application = "config.asgi:application"
    commands: tuple[str, ...] = ("manage.py",)

    def __init__(self, servers: Servers, data: Path, *, log: Path | None = None, **environment: str) -> None:
        self.data, self.log = data, log
        self.postgres, self.redis = servers.postgres, servers.redis
        urls = servers.urls
        self.port = places.free_port(None)
        self.database_url = self.postgres.url(conninfo_to_dict(urls.owner)["dbname"])  # the superuser's: sees all rows
        chosen: dict[str, str | None] = {
            "HUB_ENV": "testing",
            "DATABASE_URL": urls.app,
            "DATABASE_OWNER_URL": None,
            "REDIS_URL": self.redis.url(),
            "DATA_DIR": str(data),
            "PORT": str(self.port),
            "LOG_LEVEL": "warning",
            "LIMIT_DEFAULT": "100000/60",
            "LIMIT_LOGIN": "3/900",
            "JOB_STALLED_SECONDS": "2",
        }
        self.environment = child_environment(**chosen, **environment)
        migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity=0"]
        owner = {**self.environment, "DATABASE_OWNER_URL": urls.owner}
        subprocess.run(migrate, cwd=PROJECT_ROOT, env=owner, check=True)
        self.web = self._start("web", "-m", "uvicorn", self.application, "--port", str(self.port))
        self.worker = self.start_worker()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=20)
        eventually(self.answers, "the web process answers")

    def _start(self, name: str, *arguments: str) -> process.Child:
        command = [sys.executable, *arguments]
        return process.start(name, command, environment=self.environment, folder=PROJECT_ROOT, log=self.log)

    def start_worker(self) -> process.Child:
        self.worker = self._start("worker", *self.commands, "worker")
        return self.worker

    def answers(self) -> bool:
        try:
            return self.client.get("/health/live").status_code == 200
        except httpx.HTTPError:
            return False

    def ready(self) -> dict[str, Any]:
        return self.client.get("/health/ready").json()

    def register(self, name: str) -> dict[str, str]:
        """A new creator's headers."""
        body = {"email": f"{name}@hub.test", "password": "a long enough phrase", "display_name": name}
        answer = self.client.post("/api/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def upload(self, headers: dict[str, str], text: str, name: str = "notes.txt") -> str:
        answer = self.client.post("/api/v1/documents", headers=headers, files={"file": (name, text.encode())})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def document(self, headers: dict[str, str], document_id: str) -> dict[str, Any]:
        return self.client.get(f"/api/v1/documents/{document_id}", headers=headers).json()

    def wait_ready(self, headers: dict[str, str], document_id: str) -> dict[str, Any]:
        """The document once it is ready; fails at once when it failed."""

        def ready() -> Any:
            document = self.document(headers, document_id)
            assert document.get("status") != "failed", document
            return document if document.get("status") == "ready" else None

        return eventually(ready, "the document becomes ready")

    def kill(self, child: process.Child) -> None:
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
        process.end_group(child.process.pid)

    def stop(self) -> None:
        self.client.close()
        for child in (self.web, self.worker):
            child.stop(5)
