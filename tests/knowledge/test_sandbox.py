"""The steps of giving up, one by one; `test_extraction.py` shows that the kernel really refuses."""

import os
import struct

import pytest

from apps.knowledge.extraction import sandbox


class Libc:
    """Answers each prctl with what the test wants, and remembers the calls."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, []

    def prctl(self, option, *arguments):
        self.calls.append(option)
        return self.answers.get(f"option_{option}", 0)


@pytest.fixture
def libc(monkeypatch):
    def use(**answers):
        fake = Libc(**answers)
        monkeypatch.setattr(sandbox.ctypes, "CDLL", lambda *arguments, **options: fake)
        monkeypatch.setattr(sandbox.sys, "platform", "linux")
        monkeypatch.setattr(sandbox.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(sandbox.resource, "setrlimit", lambda kind, values: None)
        return fake

    return use


def test_everything_is_given_up_in_order(libc):
    fake = libc()
    sandbox.enter(seconds=5, memory_bytes=1, parent=os.getppid())

    assert fake.calls == [1, 38, 22]  # die with the parent, no new privileges, then the filter


@pytest.mark.parametrize(("answers", "filtered"), [({}, True), ({"option_38": -1}, False), ({"option_22": -1}, False)])
def test_a_kernel_that_refuses_the_filter_is_told_apart(libc, answers, filtered):
    libc(**answers)

    assert sandbox.refuse_system_calls() is filtered


def run_filter(program, *, machine, call):
    """Interpret the classic BPF program the way the kernel does."""
    place, register = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", program, place * 8)
        place += 1
        if code == 0x20:
            register = {0: call, 4: machine}[value]
        elif code == 0x06:
            return value
        else:
            true = register == value if code == 0x15 else register >= value
            place += if_true if true else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_exactly_what_it_lists(machine):
    audit, refused = sandbox._MACHINES[machine]
    program = sandbox._filter(audit, refused)

    answers = {call: run_filter(program, machine=audit, call=call) for call in range(600)}
    assert {call for call, answer in answers.items() if answer == sandbox._REFUSE} == set(refused)
    assert set(answers.values()) == {sandbox._REFUSE, sandbox._ALLOW}
    assert run_filter(program, machine=audit, call=0x40000000 + 1) == sandbox._REFUSE
    assert run_filter(program, machine=12345, call=0) == sandbox._KILL
