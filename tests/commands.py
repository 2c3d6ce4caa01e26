"""Driving the installed commands as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer import Typer
from typer.testing import CliRunner

from model.errors import WordsightError
from model.system.terminal import NothingFoundError
from tests.preloaded import SECONDS, run_preloaded

SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit status and both streams as text."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines of a piped table, by column."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def command(
    *args: str | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Ran:
    """Run ``ingest``, ``query`` or ``model`` as they are installed; no traceback is ever right.

    ``env``: what an interpreter reads as it starts is in force only here, not in ``os.environ``.
    ``prefix``: a program, with its arguments, that runs the command. With one of them the script itself is started.
    """
    name, rest = str(args[0]), [str(arg) for arg in args[1:]]
    if env is None and not prefix:
        status, out, err = run_preloaded(name, rest, stdin, cwd or Path.cwd())
    else:
        started = [*prefix, SCRIPTS / name, *rest]
        done = subprocess.run(started, input=stdin, capture_output=True, cwd=cwd, env=env, timeout=SECONDS, check=False)
        status, out, err = done.returncode, done.stdout, done.stderr
    ran = Ran(status, out.decode(errors="replace"), err.decode(errors="replace"))
    assert "Traceback" not in ran.err, ran.err
    return ran


def refused(ran: Ran, *told: str) -> None:
    """One sentence on stderr that names all of ``told``, nothing on stdout, exit status 2."""
    assert ran.status == 2, (ran.status, ran.err)
    assert ran.out == ""
    errors = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ran.err
    for text in told:
        assert text in errors[0], errors[0]


def misused(ran: Ran, *told: str) -> None:
    """The usage, what is wrong with it, and exit status 2."""
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.startswith("Usage: ")
    for text in told:
        assert text in ran.err, ran.err


def asked(app: Typer, *words: str | Path) -> Ran:
    """As `command`, in this process: hundreds of questions would take minutes to start."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, WordsightError):
        return Ran(2, done.stdout, f"{done.stderr}error: {done.exception}\n")
    if isinstance(done.exception, NothingFoundError):
        return Ran(1, done.stdout, f"{done.stderr}{done.exception}\n")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)
