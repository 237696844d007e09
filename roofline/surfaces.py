"""Arguments as each surface names them: flags on the command line, arguments in Python.

A message names an argument by its `Argument`, and each surface renders the message in its own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Code points that are no characters, which Unicode keeps for a program's own use: they stand in no text that is read.
_OPEN, _BETWEEN, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
_BOTH = re.compile(f"{_OPEN}([^{_OPEN}-{_CLOSE}]*){_BETWEEN}([^{_OPEN}-{_CLOSE}]*){_CLOSE}")


def both(command_line: str, python: str) -> str:
    """Return a piece of a message that has other words on each surface."""
    return f"{_OPEN}{command_line}{_BETWEEN}{python}{_CLOSE}"


def on_command_line(text: str) -> str:
    """Return a message as the command line says it.

    Example:
        >>> on_command_line(f"Leave {BATCH} out, or choose with {DATATYPE}")
        'Leave --batch out, or choose with -d'
    """
    return _BOTH.sub(r"\1", text)


def in_python(text: str) -> str:
    """Return a message as Python's callers read it.

    Example:
        >>> in_python(f"Leave {BATCH} out, or choose with {DATATYPE}")
        'Leave batch out, or choose with datatype'
    """
    return _BOTH.sub(r"\2", text)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument; in the text of a message it stands for its name on either surface."""

    flag: str
    """``--weights-read``."""
    name: str
    """``weights_read``."""

    def __str__(self) -> str:
        return both(self.flag, self.name)

    def at(self, value: object) -> str:
        """Return the argument with a value: ``--batch 8``, ``batch=8``."""
        return both(f"{self.flag} {value}", f"{self.name}={value}")


def argument(name: str) -> Argument:
    """Return an argument whose flag is its name.

    Example:
        >>> argument("weights_read")
        Argument(flag='--weights-read', name='weights_read')
    """
    return Argument(f"--{name.replace('_', '-')}", name)


BATCH = argument("batch")
DATATYPE = Argument("-d", "datatype")
DEVICES = argument("devices")
DIMS = Argument("--dim", "dims")
EMULATE = Argument("predict --emulate", "emulate")
"""With its verb: most verbs refuse a datatype without a unit, and few have the flag."""
INPUTS = Argument("--input", "inputs")
MODEL = argument("model")
NEW_TOKENS = argument("new_tokens")
PLATFORM = Argument("-p", "platform")
TUNING = argument("tuning")
VALUES = Argument("--value", "values")


def dim_at(name: str, size: object = "N") -> str:
    """Return the size of a named dimension: ``--dim 'N=8'``, ``dims={'N': 8}``."""
    return both(f"--dim '{name}={size}'", f"dims={{{name!r}: {size}}}")


def input_at(name: str, shape: str) -> str:
    """Return the shape of an input: ``--input x=1x3``, ``inputs={'x': (1, 3)}``.

    Args:
        name: Of the input.
        shape: Its sizes with ``x`` between them.
    """
    sizes = shape.split("x")
    listed = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    return both(f"--input {name}={shape}", f"inputs={{{name!r}: {listed}}}")


def value_at(name: str, value: object) -> str:
    """Return the value of an input: ``--value sr=16000``, ``values={'sr': 16000}``."""
    return both(f"--value {name}={value}", f"values={{{name!r}: {value}}}")
