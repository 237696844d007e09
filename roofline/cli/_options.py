"""The options by which every verb names a model: path, batch, open dimensions and values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from roofline.binding import UNBOUND, Binding
from roofline.conventions import Causal
from roofline.errors import OptionError, UnplacedError
from roofline.labels import labels
from roofline.reading import MAX_INTEGER, MAX_REAL, exists, real_number, whole_number

if TYPE_CHECKING:
    from roofline.workload import Workload

T = TypeVar("T")

Value = bool | int | float | tuple[int, ...] | tuple[float, ...]
"""What ``--value`` can give an input: one number or truth value, or a list of numbers."""


def own_name(model: str) -> str:
    """Return a shipped network's own name for any spelling of it; a path stays as it is.

    Raises:
        NetworkError: It is neither a path nor the name of a network.
    """
    from roofline._load import find_shipped

    if not model:
        raise OptionError("the model's name is empty", repair="Give a path to an .onnx file")
    network = find_shipped(Path(model) if model.endswith(".onnx") else model)
    return model if network is None else network.key


def unique_models(models: Iterable[str]) -> list[str]:
    """Return models by their own names, without a network or a file that is named before in another spelling.

    Raises:
        NetworkError: One is neither a path nor the name of a network.
    """
    found: dict[str, str] = {}
    for name in map(own_name, models):
        found.setdefault(os.path.realpath(name), name)
    return list(found.values())


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        callback=own_name,
        help="An .onnx file, or the name of a shipped network.",
    ),
]
ModelsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        callback=unique_models,
        help="An .onnx file, or the name of a shipped network.",
    ),
]
BoundSizesOption = Annotated[
    bool,
    typer.Option(help="Take sizes that depend on values at their most: counts are 'at most'."),
]

EmulateOption = Annotated[
    bool, typer.Option(help="Run a datatype the machine lacks on its next wider unit.")
]


def parse_dims(texts: Iterable[str] | None) -> dict[str, int]:
    """Parse ``NAME=N`` options.

    Returns:
        The size of each named dimension.

    Raises:
        OptionError: A text has no name, a size is not a whole number, or a name comes twice.

    Example:
        >>> parse_dims(["N=8", "sequence=128"])
        {'N': 8, 'sequence': 128}
    """
    return _pairs("--dim", "N=8", texts, lambda text: _size("--dim", text))


def parse_inputs(texts: Iterable[str] | None) -> dict[str, tuple[int, ...]]:
    """Parse ``NAME=1x3x224x224`` options; an empty shape is a scalar's.

    Returns:
        The shape of each named input.

    Raises:
        OptionError: A text has no name, a shape is not sizes joined by ``x``, or a name comes
            twice.

    Example:
        >>> parse_inputs(["image=1x3x224x224", "sr="])
        {'image': (1, 3, 224, 224), 'sr': ()}
    """

    def shape(text: str) -> tuple[int, ...]:
        return tuple(_size("--input", size) for size in text.split("x")) if text else ()

    return _pairs("--input", "image=1x3x224x224", texts, shape)


def parse_values(texts: Iterable[str] | None) -> dict[str, Value]:
    """Parse ``NAME=16000`` options; several numbers are joined by commas.

    Returns:
        The value of each named input.

    Raises:
        OptionError: A text has no name, a value is not numbers, or a name comes twice.

    Example:
        >>> parse_values(["sr=16000", "flag=true", "sizes=1,2"])
        {'sr': 16000, 'flag': True, 'sizes': (1, 2)}
    """
    return _pairs("--value", "sr=16000", texts, _value)


def parse_rates(flag: str, texts: Iterable[str] | None) -> tuple[float | None, dict[str, float]]:
    """Parse rates: one for every network, or ``NETWORK=30``.

    Returns:
        The rate without a name, None where there is none; and the rate of each named network.

    Raises:
        OptionError: A text is no number, or two say the same.

    Example:
        >>> parse_rates("--min-fps", ["30", "resnet50=10"])
        (30.0, {'resnet50': 10.0})
    """

    def rate(text: str) -> float:
        return real_number(text, flag, least=0, most=MAX_REAL)

    given = list(texts or ())
    plain = [text for text in given if "=" not in text]
    if len(plain) > 1:
        raise OptionError(f"{flag} is given twice", repair="Name the network: NETWORK=30")
    named = _pairs(
        flag, "resnet50=30", [text for text in given if "=" in text], rate
    )  # fmt: skip
    return (rate(plain[0]) if plain else None), named


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeOptions:
    """What fixes the inputs that models leave open, but for their batches."""

    dim: Annotated[list[str] | None, typer.Option(metavar="NAME=N")] = None
    """Size of a symbolic dimension, or of a result; repeatable."""
    input_: Annotated[list[str] | None, typer.Option(metavar="NAME=1x3x224x224")] = None
    """Shape of an input, empty for a scalar; repeatable."""
    value: Annotated[list[str] | None, typer.Option(metavar="NAME=16000")] = None
    """Value of an input that decides shapes or branches; repeatable."""

    @property
    def is_given(self) -> bool:
        """Whether anything is fixed."""
        return bool(self.dim or self.input_ or self.value)

    def binding(
        self,
        batch: int | None = None,
        *,
        bound_sizes: bool = False,
        causal: Causal = Causal.VISIBLE,
    ) -> Binding:
        """Return what is fixed of a model, beside its batch and how it is counted.

        Raises:
            OptionError: A text cannot be read.
        """
        return Binding(
            batch,
            parse_dims(self.dim),
            parse_inputs(self.input_),
            parse_values(self.value),
            bound_sizes,
            causal,
        )


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How many items a model is asked for at a time."""

    batch: Annotated[int | None, typer.Option("-b", min=1)] = None
    """Items per inference; 1 where the model leaves it open."""


@dataclass(frozen=True, kw_only=True)
class InputOptions(SizeOptions, BatchOptions):
    """What fixes all that a model leaves open; its batch stands first, as the last base's fields do."""

    def bound(self, *, bound_sizes: bool = False, causal: Causal = Causal.VISIBLE) -> Binding:
        """Return what is fixed of a model, and how it is counted.

        Raises:
            OptionError: A text cannot be read.
        """
        return self.binding(self.batch, bound_sizes=bound_sizes, causal=causal)


def load_model(model: str, binding: Binding = UNBOUND) -> Workload:
    """Count the model a user named: a path, or the name of a shipped network.

    Raises:
        RooflineError: The model cannot be read.
    """
    from roofline._load import load_bound

    return load_bound(Path(model) if model.endswith(".onnx") else model, binding)


def load_models(models: Iterable[str], binding: Binding = UNBOUND) -> list[Workload]:
    """Count every model a user named; files of one name in several folders are told apart.

    The arguments and errors are those of `load_model`.
    """
    asked = list(models)
    found = load_together(asked, binding)
    names = labels([workload.name for workload in found], asked)
    return [
        workload if workload.name == name else replace(workload, name=name)
        for workload, name in zip(found, names, strict=True)
    ]


def load_together(models: Sequence[str], binding: Binding = UNBOUND) -> list[Workload]:
    """Count models, each with those of the sizes, shapes and values that are given which it has names for.

    Raises:
        UnplacedError: No model has one of the names.
        RooflineError: A model cannot be read.
    """
    missed: dict[tuple[str, str], list[UnplacedError]] = {}
    found: list[Workload] = []
    for model in models:
        own = binding
        while True:
            try:
                found.append(load_model(model, own))
                break
            except UnplacedError as error:
                missed.setdefault((error.given, error.name), []).append(error)
                left = {**getattr(own, error.given)}
                del left[error.name]
                own = replace(own, **{error.given: left})
    for errors in missed.values():
        if len(errors) == len(models):
            raise errors[0]
    return found


def split_names(texts: Iterable[str] | None, *, once: bool = True) -> list[str]:
    """Return names given one by one or joined by commas; a file whose name has a comma stays whole.

    Args:
        texts: As they are given.
        once: Whether each name is returned once.

    Example:
        >>> split_names(["ncs,tx2:maxn", "ncs"])
        ['ncs', 'tx2:maxn']
    """
    parts = [
        part.strip()
        for text in texts or ()
        for part in ([text] if "," not in text or exists(text) else text.split(","))
    ]
    named = [part for part in parts if part]
    return list(dict.fromkeys(named)) if once else named


def _pairs(
    flag: str, example: str, texts: Iterable[str] | None, parse: Callable[[str], T]
) -> dict[str, T]:
    pairs: dict[str, T] = {}
    for text in texts or ():
        # Names hold "=" more often than values do.
        name, equals, written = text.rpartition("=")
        if not equals or not name.strip():
            raise OptionError(
                f"{flag} {text!r} is not NAME=…", repair=f"Write it like {flag} {example}"
            )
        if name.strip() in pairs:
            raise OptionError(f"{flag} names {name.strip()!r} twice", repair="Give each name once")
        pairs[name.strip()] = parse(written.strip())
    return pairs


def _size(flag: str, text: str) -> int:
    return whole_number(text, f"{flag}: a size", least=0)


def _value(text: str) -> Value:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    parts = [part.strip() for part in text.split(",") if part.strip()]
    numbers = [_number(part) for part in parts]
    if "," not in text and len(numbers) == 1:
        return numbers[0]
    if not numbers:
        raise OptionError(f"--value: {text!r} is not a number", repair=_VALUES)
    if any(isinstance(number, float) for number in numbers):
        return tuple(float(number) for number in numbers)
    return tuple(int(number) for number in numbers)


_VALUES = "Give a number, true or false, or numbers joined by commas"


def _number(text: str) -> int | float:
    if text.lstrip("+-").isdecimal():
        return whole_number(text, "--value", least=-MAX_INTEGER)
    return real_number(text, "--value")
