"""The web server's command line, the same from `make run` and in a container: python -m shared.embedded.web."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from shared.config.env_constants import choose, get_env_value, is_set


def web_command(host: str, *, port: int | None = None, workers: int | None = None) -> list[str]:
    """How uvicorn serves the hub, on PORT, with WEB_WORKERS processes. See docs/decisions/0007-server.md."""
    command = [sys.executable, "-m", "uvicorn", "--host", host]
    command += ["--port", str(port or get_env_value("PORT", fallback=True))]
    # One killed web process is replaced by its siblings' parent. A busy machine is no reason to replace one.
    command += ["--workers", str(workers or get_env_value("WEB_WORKERS", fallback=True))]
    command += ["--timeout-worker-healthcheck", "30", "--timeout-graceful-shutdown", "5"]
    command += ["--loop", "uvloop", "--http", "httptools", "--lifespan", "on"]
    command += ["--reset-contextvars"]
    # What a client says on a socket is at most a token and a number.
    command += ["--ws", "websockets-sansio", "--ws-max-size", "65536", "--ws-per-message-deflate", "false"]
    # The hub sees through proxies by itself (TRUSTED_PROXIES), and writes a line about each request of its own.
    command += ["--no-proxy-headers", "--no-access-log", "--no-server-header", "--log-level", "warning"]
    return [*command, "config.asgi:application"]


def empty_folder(folder: Path) -> Path:
    """The folder, made anew: what the processes of an earlier start counted would be added to what these count."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


if __name__ == "__main__":
    if not is_set("PROMETHEUS_MULTIPROC_DIR"):
        choose(PROMETHEUS_MULTIPROC_DIR=tempfile.mkdtemp(prefix="hub-metrics-"))
    command = web_command("0.0.0.0")
    os.execv(command[0], command)
