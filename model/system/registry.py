"""Things that register themselves by name. It must not know what they are."""

from __future__ import annotations

from typing import Generic, TypeVar

from model.errors import UsageError

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """Names and what is registered under them.

    Args:
        kind: what a message calls one of them, such as "encoder".
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._things: dict[str, Thing] = {}

    def add(self, name: str, thing: Thing) -> None:
        """Raises ValueError where the name is taken: two modules claim it, and one of them would be lost."""
        if name in self._things:
            raise ValueError(f"the {self._kind} {name!r} is registered already: register yours under another name")
        self._things[name] = thing

    def remove(self, name: str) -> None:
        """Forget one, such as what a test registered."""
        del self._things[name]

    def names(self) -> list[str]:
        """Sorted."""
        return sorted(self._things)

    def __contains__(self, name: str) -> bool:
        return name in self._things

    def __getitem__(self, name: str) -> Thing:
        """Raises UsageError, with the names there are, where there is none of that name."""
        if name not in self._things:
            raise UsageError(f"no {self._kind} {name!r}: there are {', '.join(self.names())}")
        return self._things[name]
