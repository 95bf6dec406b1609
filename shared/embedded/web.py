"""The web server's command line, the same from `make run` and in a container: python -m shared.embedded.web."""

import os
import sys
from pathlib import Path

from shared.config.env_constants import get_env_value, hub_environment


def web_command(host: str) -> list[str]:
    """How Granian serves the hub, on PORT, with WEB_WORKERS processes. Production also serves the collected files."""
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", host]
    command += ["--port", str(get_env_value("PORT", fallback=True))]
    command += ["--workers", str(get_env_value("WEB_WORKERS", fallback=True))]
    # One killed web process is replaced by its siblings' parent.
    command += ["--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "5"]
    command += ["--log-level", "warning"]
    if hub_environment() == "production":
        static: Path = get_env_value("DATA_DIR", fallback=True) / "static"
        # Their names hold a hash of their content, so a browser may keep them for ever.
        command += ["--static-path-route", "/static", "--static-path-mount", str(static)]
        command += ["--static-path-expires", "31536000"]
    return [*command, "config.asgi:application"]


if __name__ == "__main__":
    command = web_command("0.0.0.0")
    os.execv(command[0], command)
