"""Become another program that cannot outlive its parent: leash.py PARENT SIGNAL UID GID PROGRAM ARGUMENT...

Runs by its path and imports the standard library alone, so that a start costs 20 ms and works for a user who may not
read the checkout. UID and GID are given up before the program starts; -1 keeps them.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(number: int, parent: int) -> None:
    """Ask the kernel to send us this signal when our parent is gone, however it went. Linux only; else nothing.

    To be called after the last change of user: that forgets the request.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # gone before we asked
        os.kill(os.getpid(), number)


def main(arguments: list[str]) -> None:
    parent, number, uid, gid = (int(argument) for argument in arguments[:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # A parent may have been told to ignore them (nohup); a server has to hear them.
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_DFL)
    die_with_parent(number, parent)
    os.execv(arguments[4], arguments[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
