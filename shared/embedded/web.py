"""The web server's command line, the same from `make run` and in a container: python -m shared.embedded.web."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from shared.config.env_constants import choose, get_env_value, hub_environment, is_set


def web_command(host: str, *, port: int | None = None, workers: int | None = None) -> list[str]:
    """How Granian serves the hub, on PORT, with WEB_WORKERS processes. Production also serves the collected files."""
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--host", host]
    command += ["--port", str(port or get_env_value("PORT", fallback=True))]
    command += ["--workers", str(workers or get_env_value("WEB_WORKERS", fallback=True))]
    # One killed web process is replaced by its siblings' parent.
    command += ["--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "5"]
    command += ["--log-level", "warning"]
    if hub_environment() == "production":
        static: Path = get_env_value("DATA_DIR", fallback=True) / "static"
        # Their names hold a hash of their content, so a browser may keep them for ever.
        command += ["--static-path-route", "/static", "--static-path-mount", str(static)]
        command += ["--static-path-expires", "31536000"]
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
