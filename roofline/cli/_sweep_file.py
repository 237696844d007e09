"""The file that ``roofline sweep`` takes: which networks, variants, machines, datatypes and batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from roofline.errors import OptionError, did_you_mean

SCHEMA_VERSION = 1
"""Version of the file's format."""

EXAMPLE = """\
schema_version: 1
networks: [resnet50, mobilenet_v1]   # shipped networks, or .onnx files beside this one
platforms: [tx2:maxn, h100-sxm]      # keys, or .yaml files beside this one
variants:                            # optional: how the networks are compressed
  - {}
  - {keep_channels: 0.5}
  - {sparsity: 0.9, sparse_format: csr}
datatypes: [fp16, int8]              # optional: the networks' own
batches: [1, 8, 64]                  # optional: 1
model: equation1                     # optional, like traffic, operations, weights_read, emulate
"""
"""A file with everything in it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a network is compressed, in the words of the command line's flags."""

    keep_channels: tuple[str, ...] = ()
    sparsity: tuple[str, ...] = ()
    sparse_format: str = "dense"


@dataclass(frozen=True, slots=True)
class SweepFile:
    """What a sweep file asks for."""

    networks: tuple[str, ...]
    platforms: tuple[str, ...]
    variants: tuple[Variant, ...] = (Variant(),)
    datatypes: tuple[str, ...] = ()
    batches: tuple[int, ...] = (1,)
    model: str = "equation1"
    traffic: str | None = None
    operations: str | None = None
    weights_read: str = "per-batch"
    emulate: bool = False
    folder: Path = field(default_factory=Path)
    """Where the file lies; files named in it are found from there."""

    def found(self, name: str) -> str:
        """Return a name, or the path of the file of that name beside the sweep file."""
        path = self.folder / name
        return str(path) if Path(name).suffix and path.exists() else name


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        OptionError: The file cannot be read, or breaks a rule of the format.
    """
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(
            f"cannot read {path}: {error.strerror}", repair="Give a YAML file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where is not None else ""
        raise OptionError(f"{path}{line} is not YAML", repair="See: roofline sweep") from error
    if not isinstance(content, dict):
        raise OptionError(f"{path} is not a list of settings", repair="See: roofline sweep")
    settings = cast("dict[Any, Any]", content)
    version = settings.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise OptionError(
            f"{path} has schema_version {version}, not {SCHEMA_VERSION}",
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
        values["batches"] = tuple(
            _whole(entry, path) for entry in _listed(settings["batches"], "batches", path)
        )
    if "variants" in settings:
        values["variants"] = tuple(
            _variant(entry, path) for entry in _listed(settings["variants"], "variants", path)
        )
    for name in ("model", "traffic", "operations", "weights_read"):
        if name in settings:
            values[name] = _text(settings[name], name, path)
    if "emulate" in settings:
        if not isinstance(settings["emulate"], bool):
            raise OptionError(
                f"{path}: emulate is neither true nor false", repair="Write true or false"
            )
        values["emulate"] = settings["emulate"]
    return SweepFile(**values)


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
            raise OptionError(f"{path} has an unknown key {str(key)[:40]!r}", repair=hint)


def _listed(value: Any, name: str, path: Path) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise OptionError(
            f"{path}: {name} is not a list of at least one", repair=f"Write {name}: [ … ]"
        )
    return cast("list[Any]", value)


def _text(value: Any, name: str, path: Path) -> str:
    if not isinstance(value, str):
        raise OptionError(
            f"{path}: {name} holds {value!r}, not a name", repair="Put names in quotes"
        )
    return value


def _whole(value: Any, path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(
            f"{path}: batches holds {value!r}", repair="Batches are whole numbers from 1"
        )
    return value
