"""`make run`, for real: a copy of this checkout is started, used, broken, stopped and started again.

One hub serves the module; the tests break it in the order in which they stand here.
"""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import psutil
import pytest

from shared.config.env_constants import PROJECT_ROOT, child_environment
from shared.embedded import places
from tests.embedded.waiting import eventually

PARTS = ("manage.py", "config", "shared", "apps", "templates")
READY = re.compile(r"The hub is ready: (http://localhost:\d+)")
START_SECONDS = 240


class Launched:
    """A hub in a checkout of its own."""

    def __init__(self, checkout):
        self.checkout = checkout
        self.port = places.free_port(None)
        self.log = checkout / "launcher.log"
        self.process = None

    def command(self, *arguments):
        return [sys.executable, "-m", *arguments]

    def environment(self, **changes):
        servers = dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "DATA_DIR"))
        return child_environment(**(servers | {"HUB_ENV": "development", "PORT": str(self.port)} | changes))

    def start(self):
        with open(self.log, "w") as log:
            self.process = psutil.Popen(
                self.command("shared.embedded.run"), cwd=self.checkout, env=self.environment(), stdout=log, stderr=log
            )
        assert eventually(lambda: READY.search(self.said()) or not self.process.is_running(), START_SECONDS), (
            self.said()
        )
        assert READY.search(self.said()), self.said()

    def said(self):
        return self.log.read_text()

    def run(self, *arguments, **changes):
        return subprocess.run(
            self.command(*arguments),
            cwd=self.checkout,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )

    def part(self, word):
        """The live process of the launcher's whose command line has this word, or None."""
        for child in self.process.children():
            with contextlib.suppress(psutil.Error):  # it just died
                if word in " ".join(child.cmdline()):
                    return child
        return None

    def everybody(self):
        return [self.process, *self.process.children(recursive=True)]

    def answers(self):
        try:
            url = f"http://127.0.0.1:{self.port}/health/ready"
            return httpx.get(url, timeout=5, trust_env=False).json()["status"] == "ready"
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    def stop(self, number=signal.SIGINT):
        """Send a signal and answer who was there before, and what remained."""
        everybody = self.everybody()
        self.process.send_signal(number)
        _, remaining = psutil.wait_procs(everybody, timeout=40)
        return remaining

    def kill_all(self):
        if self.process is not None and self.process.is_running():
            for process in self.everybody():
                process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hub-checkout-", dir="/tmp"))
    folder.chmod(0o755)  # so that root's servers keep their data in it
    for part in PARTS:
        source = PROJECT_ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    hub = Launched(folder)
    try:
        hub.start()
        yield hub
    finally:
        hub.kill_all()
        shutil.rmtree(folder, ignore_errors=True)


def register(hub):
    answer = httpx.post(
        f"http://127.0.0.1:{hub.port}/api/v1/auth/register",
        json={"email": "alice@acme.example", "password": "correct horse battery", "display_name": "Acme"},
        headers={"Idempotency-Key": "11111111-1111-4111-8111-111111111111"},
        trust_env=False,
        timeout=30,
    )
    assert answer.status_code == 201, answer.text


def sign_in(hub):
    return httpx.post(
        f"http://127.0.0.1:{hub.port}/api/v1/auth/login",
        json={"email": "alice@acme.example", "password": "correct horse battery"},
        headers={"Idempotency-Key": "22222222-2222-4222-8222-222222222222"},
        trust_env=False,
        timeout=30,
    )


def test_it_says_where_it_is_and_answers_there(hub):
    assert READY.search(hub.said())[1] == f"http://localhost:{hub.port}"
    assert hub.answers()


def test_web_and_worker_know_neither_owner_nor_administrator(hub):
    for word in ("uvicorn", "worker"):
        environment = hub.part(word).environ()

        assert "//hub_app:" in environment["DATABASE_URL"]
        assert not {"DATABASE_OWNER_URL", "DATABASE_ADMIN_URL"} & set(environment)
        assert "hub_owner" not in str(environment)


def test_only_the_loopback_address_is_served(hub):
    listening = {
        connection.laddr.ip
        for process in hub.everybody()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_a_second_launch_in_the_same_checkout_is_refused_with_words(hub):
    second = hub.run("shared.embedded.run", PORT=str(places.free_port(None)))

    assert second.returncode == 1
    assert f"runs already: http://localhost:{hub.port} (process {hub.process.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    assert hub.answers()


def test_the_demo_makes_its_files_searchable(hub):
    demo = hub.run("shared.embedded.demo")

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stdout.count("] ready ") >= 3
    assert "cancellation-policy, Courses" in demo.stdout
    assert re.search(r"email     demo-\w+@example\.com\n  password  \S+", demo.stdout)
    again = hub.run("shared.embedded.demo", "--query", "breathe")
    assert "the hub has it already" in again.stdout
    assert 'Search "breathe"' in again.stdout


def test_the_demo_shows_a_refusal_and_a_failure(hub, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))

    demo = hub.run("shared.embedded.demo", str(tmp_path))

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert re.search(r"(refused|failed)\s+empty\.txt", demo.stdout)
    assert re.search(r"(refused|failed)\s+picture\.png", demo.stdout)


def test_the_demo_names_a_file_that_is_not_there(hub):
    demo = hub.run("shared.embedded.demo", "nowhere.pdf")

    assert (demo.returncode, demo.stderr) == (1, "The demo stopped. There is no file nowhere.pdf.\n")


def test_a_killed_web_process_is_replaced(hub):
    victim = web_processes(hub)[0]

    victim.kill()

    assert eventually(lambda: len(web_processes(hub)) == 2 and not victim.is_running(), seconds=90)
    assert eventually(hub.answers)


def web_processes(hub):
    """Beside them there is Python's own tracker of resources."""
    found = []
    for child in hub.part("uvicorn").children():
        with contextlib.suppress(psutil.Error):  # it just died
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.mark.parametrize("word", ["uvicorn", "worker", "postgres", "redis-server"])
def test_a_killed_part_is_started_again(hub, word):
    victim = hub.part(word)
    family = [victim, *victim.children(recursive=True)]

    victim.kill()

    assert eventually(lambda: hub.part(word) not in (None, victim)), hub.said()
    assert not psutil.wait_procs(family, timeout=30)[1], "its children outlived it"
    assert eventually(hub.answers, seconds=60), hub.said()
    assert "starting it again" in hub.said()


def test_interrupting_it_ends_everything(hub):
    register(hub)

    remaining = hub.stop(signal.SIGINT)

    assert not remaining
    assert hub.process.wait() == 0
    assert "Stopping ...\n" in hub.said()
    assert hub.said().endswith("Stopped.\n")
    assert not (hub.checkout / ".hub" / "running").exists()


def test_a_taken_port_is_named_and_another_one_offered(hub):
    with socket.create_server(("127.0.0.1", hub.port)):
        refused = hub.run("shared.embedded.run")

    assert refused.returncode == 1
    assert re.search(rf"Port {hub.port} is taken by another program.*make run PORT=\d+", refused.stderr)
    assert "Traceback" not in refused.stderr


def test_a_database_url_of_hub_app_alone_is_refused_with_words(hub):
    refused = hub.run("shared.embedded.run", DATABASE_URL="postgresql://hub_app:secret@127.0.0.1:1/hub")

    assert refused.returncode == 1
    assert "set DATABASE_OWNER_URL too" in refused.stderr
    assert "secret" not in refused.stderr


def test_a_database_that_does_not_answer_is_named(hub):
    refused = hub.run("shared.embedded.run", DATABASE_URL="postgresql://postgres:secret@127.0.0.1:1/hub")

    assert refused.returncode == 1
    assert "The hub did not start." in refused.stderr
    assert "secret" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_given_servers_are_used_and_none_started(hub, servers):
    with open(hub.log, "w") as log:
        hub.process = psutil.Popen(
            hub.command("shared.embedded.run"),
            cwd=hub.checkout,
            env=hub.environment(DATABASE_URL=servers.postgres.url(), REDIS_URL=servers.redis.url()),
            stdout=log,
            stderr=log,
        )
    assert eventually(lambda: READY.search(hub.said()) or hub.process.poll() is not None, START_SECONDS)
    assert READY.search(hub.said()), hub.said()

    assert not [child for child in hub.process.children() if "postgres" in child.name() or "redis" in child.name()]
    assert sign_in(hub).status_code == 401  # another database: nobody knows Alice here

    assert not hub.stop(signal.SIGTERM)


def test_data_and_secrets_survive_a_restart(hub):
    secrets = (hub.checkout / ".hub" / "secrets.json").read_bytes()

    hub.start()

    assert sign_in(hub).status_code == 200
    assert (hub.checkout / ".hub" / "secrets.json").read_bytes() == secrets


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_nothing_outlives_a_killed_launcher_and_the_next_start_recovers(hub):
    assert not hub.stop(signal.SIGKILL)

    hub.start()

    assert sign_in(hub).status_code == 200
    assert not hub.stop(signal.SIGTERM)
    assert not hub.said().count("Traceback")


# Stops with a second signal at each line of what the first one does, in whatever it calls.
TWO_SIGNALS = """
import signal, sys
from shared.embedded import run

def at_line(wanted):
    seen = 0
    def trace(frame, event, argument):
        nonlocal seen
        seen += event == "line"
        if seen == wanted:
            seen += 1
            signal.raise_signal(signal.SIGTERM)
        return trace
    return trace

signal.signal(signal.SIGTERM, run._stop)
for wanted in range(1, 30):
    before = len(run._asked_to_stop)
    sys.settrace(at_line(wanted))
    try:
        signal.raise_signal(signal.SIGTERM)
    except run.Stopped:
        sys.settrace(None)
        assert len(run._asked_to_stop) > before
    else:
        raise AssertionError("nothing stopped")
print("stopped each time")
"""


def test_two_signals_at_the_same_moment_stop_it_too():
    done = subprocess.run([sys.executable, "-c", TWO_SIGNALS], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("stopped each time\n", "")
