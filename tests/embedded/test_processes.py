"""Children: they start without our secrets, end when asked, and never outlive us."""

import os
import signal
import subprocess
import sys

import pytest

from shared.embedded import process
from shared.embedded.process import StartFailed
from shared.embedded.supervisor import Supervisor
from tests.embedded.waiting import eventually

SLEEP = "import time; time.sleep(600)"
PROGRAM_WITH_CHILD = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
LAUNCHER = """
import sys, time
from shared.embedded import process
child = process.start("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
print(child.process.pid, flush=True)
time.sleep(600)
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")


@linux_only
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_launcher_however_that_ends(how, gone):
    with subprocess.Popen([sys.executable, "-c", LAUNCHER], stdout=subprocess.PIPE) as launcher:
        child = int(launcher.stdout.readline())
        launcher.send_signal(how)

    assert gone(child)


def test_a_child_gets_no_secret(start_python, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "s" * 60)
    seen = tmp_path / "seen"

    child = start_python(f"import os; open({str(seen)!r}, 'w').write(str(sorted(os.environ)))")
    child.process.wait()

    assert "PATH" in seen.read_text()
    assert "SECRET_KEY" not in seen.read_text()


def test_stopping_ends_grandchildren_and_the_deaf_too(start_python, tmp_path, gone):
    log = tmp_path / "log"
    child = start_python(PROGRAM_WITH_CHILD, log=log)
    assert eventually(lambda: log.exists() and log.read_text())

    child.stop(patience=0.1)

    assert not child.running
    assert child.describe_end() == "was ended by SIGKILL"
    assert gone(int(log.read_text()))


def test_waiting_ends_when_the_child_has_ended(start_python, tmp_path):
    log = tmp_path / "log"
    child = start_python("print('the reason'); raise SystemExit(3)", log=log)

    with pytest.raises(StartFailed, match=r"a program ended with code 3\.\n  \| the reason"):
        process.wait_until(lambda: False, child, seconds=30, log=log)


def test_waiting_ends_when_the_time_is_over(start_python):
    with pytest.raises(StartFailed, match="did not answer within 0 s"):
        process.wait_until(lambda: False, start_python(SLEEP), seconds=0)


class Crew:
    """A supervisor whose part can be killed, and which starts again without pausing for long."""

    def __init__(self, start_python):
        self.supervisor = Supervisor()
        self.started = []
        self._start_python = start_python

    def start(self):
        self.started.append(self._start_python(SLEEP))
        return self.started[-1]

    def kill(self):
        self.started[-1].process.kill()
        self.started[-1].process.wait()


@pytest.fixture
def crew(start_python, monkeypatch):
    monkeypatch.setattr("shared.embedded.supervisor.FIRST_PAUSE", 0.0)
    crew = Crew(start_python)
    yield crew
    crew.supervisor.stop()


def test_what_dies_is_started_again(crew, capsys):
    crew.supervisor.watch("web", crew.start, patience=1)
    crew.supervisor._parts[0].pause = 0
    crew.kill()

    assert eventually(lambda: crew.supervisor.check() or len(crew.started) == 2)
    assert crew.started[1].running
    assert "web was ended by SIGKILL; starting it again" in capsys.readouterr().out


def test_what_keeps_dying_is_given_growing_pauses(crew):
    crew.supervisor.watch("web", crew.start, patience=1)
    part = crew.supervisor._parts[0]
    part.pause = 4.0
    crew.kill()

    crew.supervisor.check()
    crew.supervisor.check()

    assert len(crew.started) == 1
    assert part.pause == 8.0
    part.pause = 30.0
    part.restart_at = None
    crew.supervisor.check()
    assert part.pause == 30.0


def test_who_was_well_for_long_is_started_at_once(crew):
    crew.supervisor.watch("web", crew.start, patience=1)
    part = crew.supervisor._parts[0]
    part.pause, part.started = 30.0, part.started - 3600
    crew.kill()

    assert eventually(lambda: crew.supervisor.check() or len(crew.started) == 2, seconds=10)


def test_a_start_that_fails_is_tried_again(crew, capsys):
    crew.supervisor.watch("web", crew.start, patience=1)
    part = crew.supervisor._parts[0]
    part.pause = 0

    def refuse():
        part.start = crew.start
        raise StartFailed("not now")

    part.start = refuse
    crew.kill()

    assert eventually(lambda: crew.supervisor.check() or len(crew.started) == 2)
    assert "web did not start: not now" in capsys.readouterr().out


def test_a_death_during_the_first_start_is_a_failure(crew):
    crew.supervisor.watch("web", crew.start, patience=1)
    crew.kill()

    with pytest.raises(StartFailed, match="web was ended by SIGKILL"):
        crew.supervisor.check(restart=False)


def test_programs_are_stopped_before_the_servers_they_talk_to(crew):
    order = []

    class Server:
        child = None

        def start(self, port=None):
            self.child = crew.start()

        def stop(self):
            if self.child:
                order.append("server")
                self.child.stop(patience=1)
                self.child = None

    crew.supervisor.serve(Server(), None)
    crew.supervisor.watch("web", crew.start, patience=5)
    web = crew.supervisor._parts[1]
    stop = web.stop
    web.stop = lambda: (order.append("web"), stop())

    crew.supervisor.stop()

    assert order == ["web", "server"]
    assert not any(child.running for child in crew.started)


def test_ending_a_group_that_is_gone_is_nothing():
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as child:
        child.wait()
    process.end_group(child.pid)
    assert os.getpid() != child.pid
