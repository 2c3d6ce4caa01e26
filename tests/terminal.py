"""A terminal that a command takes for real: it answers what graphics it draws, and keeps what it is sent."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

from tests.commands import SCRIPTS

SIXEL = {b"\x1b[c": b"\x1b[?62;4;22c"}
"""A terminal's primary device attributes with 4, sixel graphics (VT340 manual)."""

PLAIN = {b"\x1b[c": b"\x1b[?62;22c"}
KITTY_QUERY = re.compile(rb"\x1b_Gi=(\d+)[^;]*a=q[^;]*;[^\x1b]*\x1b\\")


def in_terminal(
    *args: str | Path,
    answers: dict[bytes, bytes],
    kitty: bool = False,
    term: str = "xterm-256color",
    typed: bytes = b"",
) -> tuple[int, bytes, str]:
    """Run a command in a terminal of 100 columns; its exit status, what the terminal got, and its stderr.

    ``typed``: before the command began to read.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 1000, 800))
    process = subprocess.Popen(
        [SCRIPTS / str(args[0]), *map(str, args[1:])],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**environment, "TERM": term},
    )
    os.close(theirs)
    os.write(ours, typed)
    got, unanswered = b"", b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                sent = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not sent:
                break
            got += sent
            unanswered += sent
            for question, answer in answers.items():
                if question in unanswered:
                    os.write(ours, answer)
                    unanswered = unanswered.replace(question, b"")
            asked = KITTY_QUERY.search(unanswered)
            if kitty and asked:
                os.write(ours, b"\x1b_Gi=" + asked[1] + b";OK\x1b\\")
                unanswered = unanswered.replace(asked[0], b"")
    assert process.stderr is not None
    told = process.stderr.read().decode()
    process.stderr.close()
    status = process.wait(timeout=10)
    os.close(ours)
    return status, got, told
