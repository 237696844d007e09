"""The file that ``roofline sweep`` takes: which networks, variants, machines, datatypes and batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import prod
from pathlib import Path
from typing import Any, cast

from roofline.errors import OptionError, did_you_mean
from roofline.number_format import plural
from roofline.reading import MAX_INTEGER, read_text, shown
from roofline.spec.reading import parse
from roofline.sweeping.grid import Variant

SCHEMA_VERSION = 1
"""Version of the file's format."""
MAX_BYTES = 1 << 20
"""The largest sweep file that is read."""
MAX_VALUES = 100_000
"""The most keys and values in one file."""
MAX_PREDICTIONS = 1_000_000
"""The most predictions of one sweep that is not written into a folder: all of them are held in memory."""

EXAMPLE = """\
schema_version: 1
networks: [resnet50, mobilenet_v1]   # shipped networks, or .onnx files beside this one
platforms: [tx2:maxn, h100-sxm]      # keys, or .yaml files beside this one
variants:                            # optional: how the networks are compressed
  - {}
  - {keep_channels: 0.5}
  - {sparsity: 0.9, sparse_format: csr}
datatypes: [fp16, int8]              # optional: the networks' own
batches: [1, 8, 64]                  # optional: 1; or a range: {from: 1, to: 4096, step: 1}
model: equation1                     # optional, like traffic, operations, weights_read, emulate, runtime
"""
"""A file with everything in it."""


@dataclass(frozen=True, slots=True)
class SweepFile:
    """What a sweep file asks for."""

    networks: tuple[str, ...]
    platforms: tuple[str, ...]
    variants: tuple[Variant, ...] = (Variant(),)
    datatypes: tuple[str, ...] = ()
    batches: Sequence[int] = (1,)
    """A range stands for as many batches as it has."""
    model: str = "equation1"
    traffic: str | None = None
    operations: str | None = None
    weights_read: str = "per-batch"
    emulate: bool = False
    runtime: str | None = None
    folder: Path = field(default_factory=Path)
    """Where the file lies; files named in it are found from there."""

    @property
    def size(self) -> int:
        """How many predictions it asks for."""
        lists = (self.networks, self.variants, self.platforms, self.batches)
        return prod(len(entries) for entries in lists) * max(1, len(self.datatypes))

    def found(self, name: str) -> str:
        """Return a name, or the path of the file of that name beside the sweep file."""
        path = self.folder / name
        return str(path) if Path(name).suffix and path.exists() else name


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        OptionError: The file cannot be read, breaks a rule of the format, or asks for more than a process holds.
    """
    text = read_text(path, "sweep file", most=MAX_BYTES, error=OptionError)
    settings = parse(
        text, str(path), noun="sweep file", repair="See: roofline sweep", error=OptionError,
        most_values=MAX_VALUES,
    ).content  # fmt: skip
    version = settings.pop("schema_version", None)
    # 1.0 and true equal 1.
    if type(version) is not int or version != SCHEMA_VERSION:
        raise OptionError(
            f"{path} has schema_version {shown(version)}, not {SCHEMA_VERSION}",
            repair=f"Begin it with: schema_version: {SCHEMA_VERSION}",
        )
    known = [entry.name for entry in fields(SweepFile) if entry.name != "folder"]
    _check_keys(settings, known, path)
    for needed in ("networks", "platforms"):
        if not settings.get(needed):
            raise OptionError(f"{path} names no {needed}", repair="See: roofline sweep")
    values: dict[str, Any] = {"folder": path.parent}
    for name in ("networks", "platforms", "datatypes"):
        if name in settings:
            values[name] = tuple(
                _text(entry, name, path) for entry in _listed(settings[name], name, path)
            )
    if "batches" in settings:
        values["batches"] = _batches(settings["batches"], path)
    if "variants" in settings:
        values["variants"] = tuple(
            _variant(entry, path) for entry in _listed(settings["variants"], "variants", path)
        )
    for name in ("model", "traffic", "operations", "weights_read", "runtime"):
        if name in settings:
            values[name] = _text(settings[name], name, path)
    if "emulate" in settings:
        if not isinstance(settings["emulate"], bool):
            raise OptionError(
                f"{path}: emulate is neither true nor false", repair="Write true or false"
            )
        values["emulate"] = settings["emulate"]
    return SweepFile(**values)


def check_size(asked: SweepFile, path: Path) -> None:
    """Refuse a sweep of which not all predictions can be held in memory.

    Raises:
        OptionError: There are too many.
    """
    if asked.size > MAX_PREDICTIONS:
        raise OptionError(
            f"{path} asks for {plural(asked.size, 'prediction')}; one file holds at most {MAX_PREDICTIONS:,}",
            repair="Write a folder of Parquet files, which has no limit: -o FOLDER",
        )


def _batches(given: Any, path: Path) -> Sequence[int]:
    if not isinstance(given, Mapping):
        return tuple(_whole(entry, path) for entry in _listed(given, "batches", path))
    ends = cast("dict[Any, Any]", given)
    _check_keys(ends, ["from", "to", "step"], path)
    for needed in ("from", "to"):
        if needed not in ends:
            raise OptionError(
                f"{path}: batches is a range without {needed!r}", repair="Write {from: 1, to: 64}"
            )
    first, last, step = (_whole(ends.get(name, 1), path) for name in ("from", "to", "step"))
    if last < first:
        raise OptionError(
            f"{path}: batches go from {first} to {last}, which is none", repair="Let them grow"
        )
    return range(first, last + 1, step)


def _variant(entry: Any, path: Path) -> Variant:
    if not isinstance(entry, Mapping):
        raise OptionError(
            f"{path}: a variant is no mapping", repair="Write {} or {keep_channels: 0.5}"
        )
    settings = cast("dict[Any, Any]", entry)
    _check_keys(settings, [known.name for known in fields(Variant)], path)
    shares = {
        name: tuple(str(share) for share in (found if isinstance(found, list) else [found]))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        for name, found in settings.items()
        if name != "sparse_format"
    }
    return Variant(**shares, sparse_format=str(settings.get("sparse_format", "dense")))


def _check_keys(settings: Mapping[Any, Any], known: list[str], path: Path) -> None:
    for key in settings:
        if key not in known:
            hint = did_you_mean(str(key), known) or f"Known: {', '.join(known)}"
            raise OptionError(f"{path} has an unknown key {shown(key)}", repair=hint)


def _listed(value: Any, name: str, path: Path) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise OptionError(
            f"{path}: {name} is not a list of at least one", repair=f"Write {name}: [ … ]"
        )
    return cast("list[Any]", value)


def _text(value: Any, name: str, path: Path) -> str:
    if not isinstance(value, str):
        raise OptionError(
            f"{path}: {name} holds {shown(value)}, not a name", repair="Put names in quotes"
        )
    return value


def _whole(value: Any, path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_INTEGER:
        raise OptionError(
            f"{path}: batches holds {shown(value)}", repair="Batches are whole numbers from 1"
        )
    return value
