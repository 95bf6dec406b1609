"""Servers whose children do what a test says instead of reading a file, and what is left of them afterwards."""

import asyncio
import sys
import textwrap
from pathlib import Path

import pytest

from apps.knowledge.extraction.processes import Server
from apps.knowledge.extraction.runner import extract
from shared.config.env_constants import child_environment

GIB = 1024**3
MIB = 1024**2

_PROGRAM = """
import json, os, resource, signal, socket, subprocess, sys, threading, time
from apps.knowledge.extraction import sandbox, server

answer = 3

def say(**said):
    os.write(answer, json.dumps(said).encode() + b"\\n")

def hold_memory():
    held = bytearray(300 << 20)
    held[::4096] = bytes(len(held[::4096]))
    time.sleep(60)

def note(name, number=None):
    with open(job["path"] + name, "w") as file:
        file.write(str(number or os.getpid()))

def perform(given, answer):
    global job
    job = given
{code}

{before}
server.Server(socket.socket(fileno=int(sys.argv[1])), perform).serve()
"""


def stand_in(code, before=""):
    """A server whose children run this code. It has `job`, `say(...)` and what the program above brings."""
    program = _PROGRAM.format(code=textwrap.indent(textwrap.dedent(code).strip(), "    "), before=before)
    measured = child_environment().get("COVERAGE_PROCESS_CONFIG")
    environment = ("env", f"COVERAGE_PROCESS_CONFIG={measured}") if measured else ()
    return Server(*environment, sys.executable, "-c", program)


async def read(path, media_type, *, seconds=20, memory_bytes=GIB, progress=None, owner=None):
    limits = {"seconds": seconds, "memory_bytes": memory_bytes}
    return await extract(path, media_type, owner=owner, progress=progress, **limits)


async def noted(path, name="pid"):
    """The number that a stand-in has noted, as soon as it is there."""
    file = Path(f"{path}{name}")
    for _ in range(500):
        if file.exists() and (text := file.read_text()):
            return int(text)
        await asyncio.sleep(0.02)
    pytest.fail(f"nothing was noted as {name}")


async def gone(pid):
    """Return once a process has ended."""
    for _ in range(250):
        if not alive(pid):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} still runs")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # such a one waits for somebody to collect it, and runs no more
