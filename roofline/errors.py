"""The family of errors a user can meet: each is one clear line and ends the program with exit code 2."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager

from roofline.surfaces import Surface, render

MISFIT: tuple[type[Exception], ...] = (
    ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError, AttributeError,
)  # fmt: skip
"""What Python raises where a call's operands and attributes are not those that its operator's rule expects."""


class RooflineError(Exception):
    """Base of every error that the input, and not the program, is to blame for.

    Args:
        message: What is wrong and where, in one line.
        repair: How to mend it, in one line; appended after a full stop.
    """

    exit_code = 2

    def __init__(self, message: str, *, repair: str = "") -> None:
        self.texts = message, repair
        """What is wrong and how to mend it, as they were written: each surface renders the arguments in them."""
        self.surface = Surface.COMMAND_LINE
        """Where a user of the program can mend it."""
        super().__init__(message)

    # Worded when they are read: where many machines are tried, most refusals never are.

    def __str__(self) -> str:
        return self.line(Surface.PYTHON)

    def line(self, surface: Surface | None = None) -> str:
        """Return the whole line as a surface says it; by default that of the program's user."""
        message, repair = (_sentence(render(text, surface or self.surface)) for text in self.texts)
        return f"{message}. {repair}" if repair else message

    @property
    def message(self) -> str:
        """What is wrong, as the program says it."""
        return _sentence(render(self.texts[0], self.surface))

    @property
    def repair(self) -> str:
        """How to mend it, as the program says it; empty where nobody said."""
        return _sentence(render(self.texts[1], self.surface))


@contextmanager
def word_repairs_for(surface: Surface) -> Generator[None]:
    """Have errors tell how they are mended by what a surface has: a file of keys has no flags."""
    try:
        yield
    except RooflineError as error:
        error.surface = surface
        raise


class ModelError(RooflineError):
    """An ONNX file cannot be read, or breaks a rule of the format."""


class DimensionError(ModelError):
    """A dimension that the counts need has no value."""


class UnplacedError(DimensionError):
    """A size, a shape or a value is given of a name that the graph does not have.

    Args:
        message: What is wrong and where, in one line.
        given: What was given, as `roofline.binding.Binding` calls it: ``dims``, ``inputs`` or ``values``.
        name: The name that is not there.
        repair: How to mend it, in one line.
    """

    def __init__(self, message: str, given: str, name: str, *, repair: str = "") -> None:
        super().__init__(message, repair=repair)
        self.given = given
        self.name = name


class UnsupportedOperatorError(ModelError):
    """A graph holds an operator that is not counted, and the caller asked for strictness."""


class NetworkError(RooflineError):
    """A name is neither a file nor a network that is shipped."""


class PlatformError(RooflineError):
    """A platform file breaks the schema, or no platform has that name."""


class UnitError(RooflineError):
    """A unit is unknown, or measures something else."""


class DatatypeError(RooflineError):
    """A datatype is unknown, or a machine has no unit for it."""


class NoBasisError(RooflineError):
    """An estimate was asked for where there is nothing it could rest on."""


class CompressionError(RooflineError):
    """A pruning or quantization request cannot be met exactly."""


class MeasurementError(RooflineError):
    """A measured run failed, or its result was wrong."""


class StoreError(RooflineError):
    """A file of recorded measurements cannot be read or written."""


class TableError(RooflineError):
    """A table of data has the wrong columns or values."""


class OptionError(RooflineError):
    """A flag or an argument has a value that is not allowed."""


class MissingPackageError(RooflineError):
    """An optional package is needed for what was asked."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            repair=f"Install it with: pip install 'roofline[{extra}]'",
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'?"`` for the nearest known word, or an empty string."""
    # Capitals never tell two names apart, and people type them differently.
    # An entry of an enum is shown as what a user would type.
    spelled = {name.casefold(): str(name) for name in known}
    near = difflib.get_close_matches(word.casefold(), list(spelled), n=1, cutoff=0.6)
    return f"Did you mean {spelled[near[0]]!r}?" if near else ""


# What terminals obey or do not show: control characters, the marks that turn text round, halves of characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


_NUMBER = re.compile(r"\b(\d{8})\d{10,}(\d{8})\b")
"""A number of many digits, as somebody typed it: its ends."""


def printable(text: str) -> str:
    r"""Return a text with nothing in it that a terminal obeys; line ends and tabs stay.

    Such characters become JSON's escapes, so that a JSON document stays one, and loses nothing.

    Example:
        >>> printable("\x1b[2J")
        '\\u001b[2J'
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str, most: int = 1000) -> str:
    """Return a text as one printable line, its middle left out where it is long, and that of a number nobody reads.

    Args:
        text: Any text, of any length.
        most: The most characters, of which the last third is the end of the text.
    """
    # Only what stays needs to be looked at; runs of blanks are shorter afterwards.
    if len(text) > 8 * most:
        text = f"{text[: 4 * most]} … {text[-4 * most :]}"
    line = _NUMBER.sub(r"\1…\2", printable(" ".join(text.split())))
    if len(line) <= most:
        return line
    end = most // 3
    return f"{line[: most - end - 3]} … {line[-end:]}"


def _sentence(text: str) -> str:
    line = one_line(text)
    return line if line.endswith("?") else line.rstrip(".")


def own_spelling(name: str, known: Collection[str]) -> str | None:
    """Return a known name as it is spelled, in whatever capitals it was given; None where it is not known.

    Capitals decide where two names differ in nothing else.

    Example:
        >>> own_spelling("FUSED", ["fused", "unfused"])
        'fused'
    """
    if name in known:
        return name
    alike = [entry for entry in known if entry.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def check_known(
    name: str,
    known: Collection[str],
    message: str,
    *,
    error: type[RooflineError] = OptionError,
) -> str:
    """Return a known name as it is spelled; refuse others, with the nearest one, or all where none is near.

    Args:
        name: What was given.
        known: What can be given.
        message: What is wrong.
        error: The error raised.

    Raises:
        RooflineError: The name is not known.
    """
    found = own_spelling(name, known)
    if found is None:
        raise error(message, repair=did_you_mean(name, known) or f"Known: {', '.join(known)}")
    return found
