"""Where paths lead, and whether anything is there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from model.errors import UsageError


def real_path(path: Path, *, strict: bool = False) -> Path:
    """`Path.resolve`, but a loop of links is no RuntimeError, which that raises before Python 3.13.

    Raises:
        UsageError: as `absolute`.
        OSError: with ``strict``, a loop of links, or nothing there.
    """
    if not path.is_absolute():
        need_working_folder(str(path))
    return Path(os.path.realpath(path, strict=strict))


def expanded(path: Path) -> Path:
    """The path with ``~`` replaced by a home folder.

    Raises:
        UsageError: the home folder of an unknown user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: no home folder is known for {path.parts[0]}; write the folder out") from error


def working_folder() -> Path | None:
    """The folder that relative paths begin at; None where it was removed under this process."""
    try:
        return Path.cwd()
    except OSError:
        return None


def absolute(path: Path) -> Path:
    """The path from the root on, without ``..``; links are not followed.

    Raises:
        UsageError: it is relative, and the working folder was removed.
    """
    if not path.is_absolute():
        need_working_folder(str(path))
    return Path(os.path.abspath(path))


def need_working_folder(path: str) -> None:
    """Raises UsageError where ``path``, which begins at the working folder, leads nowhere: that was removed."""
    if working_folder() is None:
        raise UsageError(f"{path}: the folder you are in was removed; name the file from the root on")


def is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, which may never come to an end.

    Raises:
        OSError: nothing is there, or it may not be looked at.
    """
    mode = path.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_folder(path: Path) -> bool:
    """`Path.is_dir`, but what may not be looked at is not taken for none, as that does from Python 3.14 on.

    Raises:
        OSError: this user may not look at it, or the disk does not read.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_there(path: Path) -> bool:
    """Whether anything of that name exists; what this user may not look at counts as existing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
