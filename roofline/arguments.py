"""Checks of what a Python caller passes: a wrong kind of value is one clear line, as a wrong flag is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from roofline.errors import OptionError
from roofline.reading import quote, whole_number


def check_kind(value: Any, kinds: type | tuple[type, ...], name: str, repair: str) -> None:
    """Refuse a value of another kind.

    Args:
        value: What was passed.
        kinds: The kinds allowed.
        name: The argument's name.
        repair: How to get one that is right.

    Raises:
        OptionError: It is of no kind allowed.
    """
    if not isinstance(value, kinds):
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        nouns = " or ".join(_NOUNS.get(kind.__name__, kind.__name__) for kind in allowed)
        raise OptionError(f"{name} is {quote(value)}, not a {nouns}", repair=repair)


_NOUNS = {
    "str": "name",
    "PathLike": "path",
    "Path": "path",
    "int": "whole number",
    "float": "number",
    "Real": "number",
    "dict": "mapping",
    "Mapping": "mapping",
}


def check_name(value: Any, name: str) -> None:
    """Refuse what is neither a name nor left out.

    Raises:
        OptionError: It is something else.
    """
    if value is not None:
        check_kind(value, str, name, "Give its name as text, or leave it out")


def check_list(values: Any, kind: type, name: str, repair: str) -> None:
    """Refuse what is no list, or holds a value of another kind; a single text is no list of texts.

    Raises:
        OptionError: It is one or holds one.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(f"{name} is {quote(values)}, not a list", repair=f"Give {name}=[…]")
    if isinstance(values, Collection):
        for value in values:  # pyright: ignore[reportUnknownVariableType]
            check_kind(value, kind, name, repair)


def check_whole(value: Any, name: str, repair: str) -> None:
    """Refuse what is no whole number; NumPy's are.

    Raises:
        OptionError: It is something else.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise OptionError(f"{name} is {quote(value)}, not a whole number", repair=repair)


def check_items(batch: Any) -> None:
    """Refuse what is neither a whole number of items nor left out.

    Raises:
        OptionError: It is something else.
    """
    if batch is None:
        return
    check_whole(batch, "batch", "Use 1 or more")
    whole_number(batch.__index__(), "batch")
