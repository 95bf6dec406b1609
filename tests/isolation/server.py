"""The hub's web process, on the tests' database, with settings of one's own."""

import contextlib
import socket
import subprocess
import sys
import time
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from shared.config.env_constants import child_environment

START_SECONDS = 60
# How Postgres names the web process's connections, so that a test can kill exactly those.
NAME = "hub-under-test"


@contextlib.contextmanager
def web_process(data_dir, **environment):
    """Start it, hand out its address, stop it."""
    port = _free_port()
    told = connection.settings_dict
    host = f"{quote(told['HOST'], safe='')}:{told['PORT']}"
    url = f"postgresql://{told['USER']}:{quote(told['PASSWORD'])}@{host}/{told['NAME']}"
    loose = {f"LIMIT_{name}": "100000/60" for name in ("LOGIN", "REGISTER", "UPLOAD", "SEARCH", "DEFAULT")}
    own = {"DATABASE_URL": url, "REDIS_URL": settings.REDIS_URL, "DATA_DIR": str(data_dir), "PGAPPNAME": NAME}
    address = f"http://127.0.0.1:{port}"
    with open(data_dir / "web.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--log-level", "warning"],
            env=child_environment(**(own | loose | environment)),
            cwd=settings.BASE_DIR,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_live(process, address, data_dir / "web.log")
            yield address
        finally:
            process.terminate()
            process.wait(20)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_until_live(process, address, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(address + "/health/live", timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"the web process did not start:\n{log.read_text()[-3000:]}")
