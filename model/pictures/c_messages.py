"""What libtiff, below Pillow, would print: caught and counted, a file at a time, so that no progress bar is torn.

Of Pillow's C libraries it is the one that writes to the process's standard error, up to a line for each row of a
picture. Its handlers belong to the process; each thread hears what it caused itself.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import PIL

LONGEST = 200
BUNDLED = ("../pillow.libs/libtiff*.so*", ".dylibs/libtiff*.dylib", "../pillow.libs/*tiff*.dll")
"""Where Pillow's wheels carry it, from the package's folder."""


@dataclass
class Heard:
    """``first``: the first error, one line; ``errors``: how many there were."""

    first: str = ""
    errors: int = 0


class _Listeners(threading.local):
    heard: Heard | None = None


_listeners = _Listeners()


@contextmanager
def listening() -> Iterator[Heard]:
    """What is printed within the block, by this thread."""
    _install()
    before, _listeners.heard = _listeners.heard, Heard()
    try:
        yield _listeners.heard
    finally:
        _listeners.heard = before


@cache
def _install() -> tuple[Any, ...]:
    """Take the place of libtiff's handlers, where it can be reached; kept, so that they are never collected."""
    handler_type = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
    path = _libtiff()
    if not path:
        return ()
    try:
        library, libc = ctypes.CDLL(path), ctypes.CDLL(None)
        formatted = libc.vsnprintf
        set_error, set_warning = library.TIFFSetErrorHandler, library.TIFFSetWarningHandler
    except (OSError, AttributeError, TypeError):
        return ()
    formatted.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p)

    def on_error(module: bytes | None, template: bytes | None, arguments: int | None) -> None:
        heard = _listeners.heard
        if heard is None:
            return
        heard.errors += 1
        if not heard.first and template:
            buffer = ctypes.create_string_buffer(LONGEST)
            formatted(buffer, LONGEST, template, arguments)
            heard.first = " ".join(f"{(module or b'').decode(errors='replace')}: ".lstrip(": ").split())
            heard.first += " " * bool(heard.first) + " ".join(buffer.value.decode(errors="replace").split())

    handlers = (handler_type(on_error), handler_type(lambda _module, _template, _arguments: None))
    for setter, handler in zip((set_error, set_warning), handlers, strict=True):
        setter.argtypes = (handler_type,)
        setter.restype = ctypes.c_void_p
        setter(handler)
    return handlers


def _libtiff() -> str:
    folder = Path(PIL.__file__).parent
    found = [path for pattern in BUNDLED for path in sorted(folder.glob(pattern))]
    return str(found[0]) if found else ctypes.util.find_library("tiff") or ""
