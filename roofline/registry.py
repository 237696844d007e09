"""The one registry pattern: operators, networks, measurement backends, charts and transformations use it.

Built-in entries live one to a module in a package and register themselves with a decorator when that package is first
asked for. Third parties register the same way from a module named by an entry point of the registry's group.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from roofline.errors import RooflineError, check_known, own_spelling

T = TypeVar("T")
F = TypeVar("F")


class Registry(Generic[T]):
    """Named entries, discovered on first use, listed in sorted order; a name can be taken once.

    Args:
        noun: What an entry is, for messages: ``"network"``.
        package: The package whose modules register the built-in entries.
        group: The entry-point group through which third parties register.
        error: The error raised for an unknown name.
        module: Where entries are whole folders of the package, the module in each that registers it.
    """

    def __init__(
        self,
        noun: str,
        package: str,
        group: str,
        error: type[RooflineError] = RooflineError,
        *,
        module: str = "",
    ) -> None:
        self._noun = noun
        self._package = package
        self._group = group
        self._error = error
        self._module = module
        self._entries: dict[str, T] = {}
        self._collected = False

    def add(self, name: str, entry: T) -> None:
        """Register an entry.

        Raises:
            ValueError: The name is taken; a registration never replaces another.
        """
        if name in self._entries:
            raise ValueError(f"{self._noun} {name!r} is registered twice")
        self._entries[name] = entry

    def register(self, *names: str, wrap: Callable[[F], T]) -> Callable[[F], F]:
        """Return a decorator that registers ``wrap(decorated)`` under each name."""

        def decorate(decorated: F) -> F:
            for name in names:
                self.add(name, wrap(decorated))
            return decorated

        return decorate

    def find(self, name: str) -> T | None:
        """Return the entry of that name, or None."""
        self._collect()
        return self._entries.get(name)

    def find_in_any_case(self, name: str) -> T | None:
        """Return the entry of that name in whatever capitals, or None; capitals decide where two differ in them."""
        self._collect()
        own = own_spelling(name, self._entries)
        return None if own is None else self._entries[own]

    def get(self, name: str) -> T:
        """Return the entry of that name, or raise this registry's error with the nearest known name."""
        return self._entries[self.name_of(name)]

    def name_of(self, name: str) -> str:
        """Return an entry's own name for one in whatever capitals; the errors are those of `get`."""
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self._error(f"{name!r} is no name of a {self._noun}", repair="Give it as text")
        self._collect()
        return check_known(
            name, sorted(self._entries), f"unknown {self._noun} {name!r}", error=self._error
        )

    def __iter__(self) -> Iterator[str]:
        self._collect()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._collect()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        self._collect()
        return name in self._entries

    def _collect(self) -> None:
        if self._collected:
            return
        self._collected = True
        package = importlib.import_module(self._package)
        # A registry whose package is a plain module has all of its built-in entries there.
        folders = getattr(package, "__path__", ())
        for module in sorted(pkgutil.iter_modules(folders), key=lambda found: found.name):
            name = f"{self._package}.{module.name}"
            if self._module:
                name = f"{name}.{self._module}"
                if not module.ispkg or importlib.util.find_spec(name) is None:
                    continue
            if not module.name.startswith("_"):
                importlib.import_module(name)
        if f"[{self._group}]" in _declared_groups():
            from importlib.metadata import entry_points

            for point in sorted(entry_points(group=self._group), key=lambda found: found.name):
                point.load()


@cache
def _declared_groups() -> frozenset[str]:
    """Return the headings of all installed packages' entry points.

    Importing importlib.metadata costs more than counting most networks, so it waits until a heading is ours.
    """
    found: set[str] = set()
    for folder in sys.path:
        for pattern in ("*.dist-info", "*.egg-info"):
            for path in Path(folder or ".").glob(f"{pattern}/entry_points.txt"):
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                found.update(line.strip() for line in lines if line.startswith("["))
    return frozenset(found)
