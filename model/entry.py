"""How every command begins: with nothing imported that takes time, so that Ctrl-C is met from the first moment on."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module

INTERRUPTED = 130
"""The exit status of a command ended by Ctrl-C: 128 and the number of the signal, as shells count."""

INTERNAL_FAULT = 70
"""The exit status of what nobody foresaw (EX_SOFTWARE of sysexits.h)."""


def enter(cli: str, given: object = None) -> None:
    """Import the module ``cli`` and run its ``app``; ``given`` is its context's object."""
    try:
        run_cli = import_module("model.system.terminal").run_cli
        run_cli(partial(import_module(cli).app, obj=given))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - an engine's panic is no Exception
        sys.exit(_report(error))


def _report(error: BaseException) -> int:
    try:
        return int(import_module("model.system.fault").report_fault(error))
    except Exception:  # noqa: BLE001 - not even that can be imported: a package is missing
        sys.stderr.write(f"error: wordsight is not installed as a whole ({error}): install it again\n")
        return INTERNAL_FAULT
