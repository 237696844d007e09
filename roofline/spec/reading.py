"""Reading a platform file: bounded, strict YAML, where every value knows its line.

The reader builds plain values from YAML events itself: duplicate keys, aliases, tags, deep nesting and huge files are
refused before anything is built from them, and dates stay text.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from roofline import reading
from roofline.errors import PlatformError, RooflineError
from roofline.number_format import plural
from roofline.spec.problem import Problem, dotted_path

MAX_BYTES = 1 << 18
"""The largest platform file that is read: 256 KiB; the largest shipped one is a few KiB."""
MAX_DEPTH = 16
"""The deepest nesting; the schema needs 6."""
MAX_VALUES = 20_000
"""The most keys and values in one file."""
UNFILLED = "INFORMATION_REQUIRED"
"""What the scaffold puts where a person must fill in a value."""

_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}

Path = tuple[str | int, ...]

Content = dict[str, Any]
"""What a mapping in a file says, by key."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a YAML file and where each part of it stands."""

    content: Content
    lines: dict[Path, int] = field(default_factory=dict[Path, int])
    """For each path, the line it starts on, from 1."""

    def line(self, path: Path) -> int | None:
        """Return the line of a path, or of the nearest part of the file around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def unfilled_places(self) -> tuple[Problem, ...]:
        """Return the places that still say INFORMATION_REQUIRED."""
        return tuple(
            Problem(
                path,
                f"still says {UNFILLED}",
                "Fill it in, or remove the entry if it is optional",
                self.line(path),
            )
            for path in _unfilled_places(self.content, ())
        )


def _unfilled_places(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, str) and UNFILLED in value:
        yield path
    elif isinstance(value, dict):
        for key, entry in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _unfilled_places(entry, (*path, str(key)))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for index, entry in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _unfilled_places(entry, (*path, index))


def read_text(path: FilePath) -> str:
    """Return the text of a platform file.

    Raises:
        PlatformError: It is missing, no regular file, too large, or not UTF-8.
    """
    return reading.read_text(path, "platform file", most=MAX_BYTES, error=PlatformError)


def parse(
    text: str,
    name: str,
    *,
    noun: str = "platform file",
    repair: str = "Start from a scaffold: roofline platforms new my-board",
    error: type[RooflineError] = PlatformError,
    most_values: int = MAX_VALUES,
) -> Document:
    """Return the content of a YAML text.

    Args:
        text: The text of one document.
        name: What to call it in messages.
        noun: What it should be, for messages.
        repair: How to get one that is right, for messages.
        error: The error raised.
        most_values: The most keys and values it may hold.

    Raises:
        RooflineError: It is no YAML, no mapping, or uses what such files do without.
    """
    yaml = _load_yaml()
    try:
        # The C parser is several times faster; a PyYAML built without it still has the slow one.
        events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _Builder(name, events, error, most_values).document(noun, repair)
    except yaml.YAMLError as reason:
        mark = getattr(reason, "problem_mark", None)
        what = getattr(reason, "problem", None) or "unreadable characters"
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise error(
            f"{name}: {line}not valid YAML: {what}", repair="Check indentation and brackets"
        ) from reason
    except (ValueError, RecursionError) as reason:
        raise error(f"{name}: not valid YAML: {reason}") from reason


def _load_yaml() -> Any:
    """Return PyYAML, which has no type information, only when a file is read."""
    return importlib.import_module("yaml")


class _Builder:
    """Builds plain values from YAML events."""

    def __init__(
        self, name: str, events: Any, error: type[RooflineError], most_values: int
    ) -> None:
        self._yaml = _load_yaml()
        self._resolver = self._yaml.resolver.Resolver()
        self._name = name
        self._events = iter(events)
        self._lines: dict[Path, int] = {}
        self._count = 0
        self._raised = error
        self._most_values = most_values

    def document(self, noun: str, repair: str) -> Document:
        yaml = self._yaml
        content: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(
                        "holds more than one document",
                        event,
                        (),
                        "Put each into a file of its own",
                    )
                content = self._value(next(self._events), ())
        if not isinstance(content, dict):
            raise self._raised(
                f"{self._name}: a {noun} is a mapping of keys to values", repair=repair
            )
        return Document(content, self._lines)  # pyright: ignore[reportUnknownArgumentType]

    def _value(self, event: Any, path: Path) -> Any:
        yaml = self._yaml
        self._count += 1
        if self._count > self._most_values:
            raise self._error(
                f"holds more than {plural(self._most_values, 'value')}",
                event,
                (),
                "Remove what the schema does not know",
            )
        if len(path) > MAX_DEPTH:
            raise self._error(
                f"nests deeper than {MAX_DEPTH} levels", event, path[:3], "The schema needs only 6"
            )
        self._lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.AliasEvent):
            raise self._error("uses an alias (*name)", event, path, "Write the value out")
        if getattr(event, "tag", None) is not None:
            raise self._error(f"uses the tag {event.tag}", event, path, "Remove the tag")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event)

    def _mapping(self, path: Path) -> Content:
        yaml = self._yaml
        content: Content = {}
        while True:
            event: Any = next(self._events)
            if isinstance(event, yaml.MappingEndEvent):
                return content
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                raise self._error("a key must be plain text", event, path, "Write it as one word")
            key = event.value[:200]
            if key in content:
                first = self._lines[*path, key]
                raise self._error(
                    f"is there twice, first on line {first}",
                    event,
                    (*path, key),
                    "Remove one of the two",
                )
            self._lines[*path, key] = event.start_mark.line + 1
            content[key] = self._value(next(self._events), (*path, key))

    def _sequence(self, path: Path) -> list[Any]:
        yaml = self._yaml
        content: list[Any] = []
        while True:
            event: Any = next(self._events)
            if isinstance(event, yaml.SequenceEndEvent):
                return content
            content.append(self._value(event, (*path, len(content))))

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        tag: str = self._resolver.resolve(self._yaml.ScalarNode, text, event.implicit)
        plain = text.replace("_", "")
        match tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return text.lower() in {"yes", "true", "on"}
            case "int" if plain.lstrip("+-").isdecimal() and len(plain) < 400:
                return int(plain)
            case "float" if plain.lower() in _SPECIAL:
                return _SPECIAL[plain.lower()]
            case "float" if ":" not in plain:
                return float(plain)
            case _:
                # Dates stay text, and so do YAML 1.1's octal, hexadecimal and base-60 numbers, which nobody means.
                return text

    def _error(self, rule: str, event: Any, path: Path, repair: str) -> RooflineError:
        where = f"{dotted_path(path)} " if path else ""
        return self._raised(
            f"{self._name}: line {event.start_mark.line + 1}: {where}{rule}", repair=repair
        )
