"""The ``--fail-if`` option: a condition on a result's rows that ends the program with exit code 1."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from roofline.cli._output import say
from roofline.errors import OptionError, did_you_mean

FailIfOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'fps<30'", help="Exit with code 1 where a row meets this condition; repeatable."
    ),
]

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_CONDITION = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*$")
_SHORT = {
    "fps": "throughput_fps", "latency": "latency_ms", "energy": "energy_mj",
    "fps_ratio": "throughput_fps_ratio", "latency_ratio": "latency_ms_ratio",
}  # fmt: skip
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Condition:
    """A column, a comparison and a value: ``throughput_fps < 30``."""

    text: str
    column: str
    comparison: str
    value: float | bool | str

    def holds(self, row: Mapping[str, object]) -> bool:
        """Return whether a row meets the condition; an unknown (None) value does not say."""
        found = row[self.column]
        if found is None:
            return False
        if isinstance(found, (list, tuple, dict)):
            raise OptionError(
                f"--fail-if {self.text!r}: {self.column} is no single value",
                repair="Name a column that is, such as throughput_fps",
            )
        ordered = self.comparison not in ("==", "!=")
        if isinstance(found, str) != isinstance(self.value, str) or (
            ordered and isinstance(found, (str, bool))
        ):
            raise OptionError(
                f"--fail-if {self.text!r} compares {self.column} = {found!r} with {self.value!r}",
                repair="Compare numbers with numbers; words and yes or no only with == and !=",
            )
        return _COMPARE[self.comparison](found, self.value)


def conditions(texts: Iterable[str] | None, columns: Sequence[str]) -> list[Condition]:
    """Parse ``--fail-if`` options.

    Args:
        texts: What the user wrote: ``fps<30``, ``latency_ms >= 10``, ``bound==memory``, ``fits==no``.
        columns: The columns of the result; ``fps``, ``latency`` and ``energy`` are short for the full names.

    Raises:
        OptionError: A text is no condition, or its column is not known.
    """
    parsed: list[Condition] = []
    for text in texts or ():
        match = _CONDITION.match(text)
        if match is None:
            raise OptionError(
                f"--fail-if {text!r} is not a condition",
                repair="Write it like --fail-if 'fps<30', with one of < <= > >= == !=",
            )
        column = next(
            (name for name in columns if name.casefold() == match[1].casefold()), match[1]
        )
        if column not in columns:
            column = _SHORT.get(column.casefold(), column)
        if column not in columns:
            hint = (
                did_you_mean(
                    match[1].casefold(),
                    [*columns, *(short for short in _SHORT if _SHORT[short] in columns)],
                )
                or f"Columns: {', '.join(columns)}"
            )
            raise OptionError(f"--fail-if {text!r} names no column of the result", repair=hint)
        value = _value(match[3])
        if isinstance(value, (str, bool)) and match[2] not in ("==", "!="):
            raise OptionError(
                f"--fail-if {text!r}: nothing is less or more than {match[3]!r}",
                repair="Compare with a number; words and yes or no only with == and !=",
            )
        if isinstance(value, float) and math.isnan(value):
            # Nothing equals what is not a number: the check would pass, or fail, whatever the result is.
            raise OptionError(
                f"--fail-if {text!r} compares with what is no number", repair="Give a number"
            )
        parsed.append(Condition(text, column, match[2], value))
    return parsed


def report_failures(
    rows: Iterable[Mapping[str, object]], checks: Sequence[Condition], name: Sequence[str]
) -> None:
    """Write each row that meets a condition on standard error, and exit with code 1 if there is one.

    A condition on a value that is not known cannot be passed: it fails.

    Args:
        rows: The result.
        checks: The conditions.
        name: The columns that say which row it is.
    """
    failed = False
    for row in rows:
        for check in checks:
            which = " ".join(str(row[column]) for column in name)
            if check.column not in row:
                # A decoder's column says nothing of other networks.
                continue
            if row[check.column] is None:
                failed = True
                say(f"roofline: check failed: {which}: {check.column} is unknown ({check.text})")
            elif check.holds(row):
                failed = True
                found = f"{check.column} = {row[check.column]}"
                say(f"roofline: check failed: {which}: {found} ({check.text})")
    if failed:
        raise typer.Exit(1)


def _value(text: str) -> float | bool | str:
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    try:
        return float(text)
    except ValueError:
        return text
