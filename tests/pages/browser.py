"""A hub that a real browser can visit: web server and worker as processes of their own, on the test's database."""

import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from django.db import connection

from shared.config.env_constants import PROJECT_ROOT, child_environment, get_env_value
from shared.embedded import places, process

# The names under which distributions ship it.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 90_000  # milliseconds; a machine may be busy with other tests
PASSWORD = "four words make one"
MOST_BYTES = 1024 * 1024


class VisitedHub:
    """The hub as `make run` starts it, in small."""

    def __init__(self, data: Path) -> None:
        self.port = places.free_port(None)
        self.url = f"http://127.0.0.1:{self.port}"
        database = urlsplit(get_env_value("DATABASE_URL", fallback=True))._replace(
            path=f"/{connection.settings_dict['NAME']}"
        )
        self.environment = child_environment(
            HUB_ENV="testing",
            DATABASE_URL=database.geturl(),
            DATABASE_DIRECT_URL=None,
            DATABASE_OWNER_URL=None,
            DATA_DIR=str(data),
            PORT=str(self.port),
            PUBLIC_URL=self.url,
            WEB_WORKERS="1",
            MAX_UPLOAD_BYTES=str(MOST_BYTES),
            GOLDEN_DELAY_SECONDS="1",
            LIMIT_REGISTER="1000/60",
            LIMIT_UPLOAD="1000/60",
            LIMIT_DEFAULT="100000/60",
        )
        self.parts = [self.run("web", "-m", "shared.embedded.web"), self.run("worker", "manage.py", "worker")]
        self._wait()

    def run(self, name: str, *arguments: str, **more: str) -> process.Child:
        environment = {**self.environment, **more}
        return process.start(name, [sys.executable, *arguments], environment=environment, folder=PROJECT_ROOT)

    def make_staff(self, email: str) -> None:
        """Somebody who may enter the admin. In a process of its own: the browser's driver keeps Django's ORM away."""
        names = {"EMAIL": email, "PASSWORD": PASSWORD, "DISPLAY_NAME": "Staff"}
        secrets = {f"DJANGO_SUPERUSER_{name}": value for name, value in names.items()}
        child = self.run("staff", "manage.py", "createsuperuser", "--noinput", **secrets)
        assert child.process.wait(60) == 0

    def stop(self) -> None:
        for part in self.parts:
            part.stop(10)

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health/live", trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise AssertionError("the web process does not answer")


DROP = """
(files) => {
  const carried = new DataTransfer();
  for (const [name, content] of files) carried.items.add(new File([content], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
    document.getElementById("drop").dispatchEvent(event);
  }
}
"""


class Visitor:
    """Somebody with a browser. `complaints` collects what a console would show: errors, refused scripts, failures."""

    def __init__(self, hub, context):
        self.hub = hub
        self.context = context
        self.complaints = []
        context.set_default_timeout(PATIENCE)
        context.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " (event) => console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI))"
        )
        context.on("console", self._hear)
        context.on("weberror", lambda event: self.complaints.append(f"uncaught: {event.error}"))
        context.on("dialog", self._opened)
        self.page = context.new_page()

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location['url']}")

    def _opened(self, dialog):
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def go(self, path):
        return self.page.goto(self.hub.url + path)

    def register(self, name="Alice", email=None):
        self.go("/register")
        self.page.fill("[name=display_name]", name)
        self.page.fill("[name=email]", email or f"{time.monotonic_ns()}@acme.example.com")
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_url("**/documents")

    def drop(self, *files):
        """Drop files, pairs of name and text, on the page."""
        self.page.evaluate(DROP, [list(file) for file in files])

    def wait_for_state(self, state, count=1):
        self.page.wait_for_function(
            "([state, count]) => document.querySelectorAll(`.row[data-status=${state}]`).length === count",
            arg=[state, count],
        )
