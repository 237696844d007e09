"""The campaign file: its keys, their defaults, and errors that say which line breaks which rule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, Field

from roofline.reading import MAX_INTEGER
from roofline.spec._frozen import Strict
from roofline.spec.checking import read_checked
from roofline.spec.reading import MAX_BYTES
from roofline.validate.records.request import PROTOCOL

MAX_THREADS = 4096
"""The most threads one run can be asked for; the largest servers have about a quarter of it."""
SCHEMA_VERSION = 1
"""Version of campaign files; raised only when a key changes its meaning or goes."""

T = TypeVar("T")
Scalar = str | int | float | bool


def _as_list(value: Any) -> Any:
    return cast("Any", value) if isinstance(value, list) else [value]


Axis = Annotated[list[T], BeforeValidator(_as_list), Field(min_length=1)]
"""One value, or a list of values to go through."""

Share = Annotated[float, Field(gt=0, le=1)]
Sparsity = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Threads = Annotated[int, Field(ge=1, le=MAX_THREADS)]
Finite = Annotated[float, Field(allow_inf_nan=False, ge=0)]


class Compression(Strict):
    """What is taken from a network; the same as the flags of that name."""

    keep_channels: Share | None = None
    """Share of inner channels that stay."""
    sparsity: Sparsity | None = None
    """Share of weights set to zero."""
    sparse_format: str = "dense"
    """How pruned weights are stored: ``csr``, ``bsr``, ..."""


def _compression(value: Any) -> Any:
    return {} if value == "dense" else value


Compressed = Annotated[Compression, BeforeValidator(_compression)]


class _Axes(Strict):
    network: Axis[str] | None = None
    """Names of shipped networks, or ``.onnx`` files relative to the campaign's file."""
    compression: Axis[Compressed] | None = None
    """``dense``, or shares: ``{keep_channels: 0.5}``."""
    datatype: Axis[str] | None = None
    """Of weights and activations; left out it is the network's own."""
    backend: Axis[str] | None = None
    algorithm: Axis[str] | None = None
    """How convolutions are computed; dropped where a backend has no choice."""
    tuning: Axis[str] | None = None
    """``untuned`` or ``tuned``; dropped where a backend has no choice."""
    batch: Axis[Count] | None = None
    threads: Axis[Threads] | None = None
    target: Axis[str] | None = None
    """``local``, or the names of boards."""


class Grid(_Axes):
    """Axes: every combination of their values is a point."""

    trials: Count | None = None
    """Schedules tried per kernel when tuned."""
    budget_s: Finite | None = None
    """Seconds that tuning may take; 0 is no limit."""
    dims: dict[str, Count] | None = None
    """Sizes of open dimensions by name."""
    options: dict[str, Scalar] | None = None
    """Options that only one backend knows."""


class Rule(_Axes):
    """A point is left out when it has one of the values of every key named."""


class Timing(Strict):
    """How each point is timed; the defaults are those of ``roofline measure``."""

    runs: Count = PROTOCOL.runs
    warmup: Count = PROTOCOL.warmup
    sampling_s: Finite = PROTOCOL.sampling_s
    time_limit_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = PROTOCOL.time_limit_s
    memory_limit_gb: Finite = 0.0
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0


class BoardFile(Strict):
    """Boards behind one key of an RPC tracker."""

    key: str = ""
    """The servers' key; left out it is the board's name."""
    tracker: str = ""
    """``host:port``; left out it is given when the campaign is run."""
    target: str = ""
    """What is compiled for: a name such as ``aarch64-cortex-a72``, or LLVM's settings as JSON."""


class CampaignFile(Grid):
    """A whole campaign: one grid, or common values and several grids."""

    name: str = ""
    """What it is called; left out it is the file's name."""
    title: str = ""
    grids: Annotated[list[Grid], Field(min_length=1)] | None = None
    """Grids with the values above as their defaults."""
    exclude: tuple[Rule, ...] = ()
    rounds: Annotated[int, Field(ge=1, le=100)] = 1
    """How often all points are gone through, to see what time changes."""
    protocol: Timing = Timing()
    boards: dict[str, BoardFile] = Field(default_factory=dict[str, BoardFile])


def read(path: Path) -> CampaignFile:
    """Return a campaign file's content, checked key by key.

    Raises:
        OptionError: It cannot be read, is no YAML, or breaks the schema; with the line.
    """
    return read_checked(
        CampaignFile, path, "campaign", version=SCHEMA_VERSION, example="roofline campaign list", most_bytes=MAX_BYTES
    )[0]  # fmt: skip
