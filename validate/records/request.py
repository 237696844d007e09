"""One configuration of a run: what Python, the command line and campaigns ask for, and what a record keeps of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from roofline.binding import Binding
from roofline.number_format import plural
from roofline.validate.records.compression import Compression
from roofline.validate.records.tuning import Tuning

Scalar = str | int | float | bool
InputValue = bool | int | float | tuple[int, ...] | tuple[float, ...]
"""What an input can be given: one number or truth value, or a list of numbers."""

_LIMITS = ("time_limit_s", "memory_limit_bytes")
"""Parts of the protocol that do not make a run that ended well another one."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a run is timed: warm-up runs are discarded, the median of the rest is reported."""

    runs: int = 150
    """Timed runs wanted; fewer are taken when the sampling time is up (never fewer than three)."""
    warmup: int = 1
    """Runs before the first timed one; the very first of them is kept as ``first_s``."""
    sampling_s: float = 60.0
    """Time after which no further run is started."""
    time_limit_s: float = 900.0
    """Time after which the process of a run (or of its compilation, tuning excluded) is ended."""
    memory_limit_bytes: int = 0
    """Resident memory at which the process is ended; 0 is 90 % of the machine's."""
    seed: int = 0
    """Seed of the random inputs, and of the random weights of networks shipped without."""


SPREAD_S = 2.0
"""Seconds over which the timed runs are spread, as far as the sampling time allows.

A core that this machine sees may be one of two threads of a physical core, of which someone else has the other: that
takes half of the units for some hundredths to tenths of a second at a time and shows in no count of this machine. Runs
that all lie in one such episode tell its time, not the program's.
"""

PROTOCOL = Protocol()
"""The protocol of a run for which none is given."""

TRIALS = 16
"""Schedules tried per kernel when tuning without a number given."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is asked for: a network, what is taken from it, and how it is to be run.

    The defaults of every way to ask for a run stand here and nowhere else. In a record every value that says "the
    backend's own" or "the model's own" is the one that was taken.

    Example:
        >>> RunRequest("resnet50", "tvm", batch=8).title
        'resnet50, tvm, batch 8'
    """

    network: str
    """Name of a shipped network, or path of an ``.onnx`` file; in a record its name alone."""
    backend: str = "tvm"
    model_sha256: str = ""
    """Digest of the ONNX file's bytes before weights are filled in; empty for shipped networks that are asked for, and
    for imported runs."""
    compression: Compression = field(default_factory=Compression)
    """What is taken from the network."""
    datatype: str = ""
    """Of the weights of the model that is run; empty is the model's own. `Measurement.executed` says what was
    multiplied."""
    batch: int = 0
    """Items per inference; 0 is the model's own, or 1 where it leaves that open."""
    threads: int = 0
    """0 is every core this process may use."""
    dims: Mapping[str, int] = field(default_factory=dict[str, int])
    """Sizes of symbolic dimensions, by name."""
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    """Whole shapes of inputs, by name."""
    values: Mapping[str, InputValue] = field(default_factory=dict[str, InputValue])
    """Values of inputs that decide shapes, branches or trips, by name; all others are random."""
    phase: str = ""
    """Of a decoder: ``prefill`` or ``decode``, for which its inputs are bound by their roles; empty for others."""
    context: int = 0
    """Positions of the prompt of a decoder whose phase is given."""
    tuning: Tuning = Tuning.BACKEND_DEFAULT
    """Whether schedules are sought; its name will do."""
    trials: int = TRIALS
    """Schedules tried per kernel when tuned; 0 in a record of an untuned run."""
    tuning_budget_s: float = 0.0
    """Time the tuning may take; 0 is no limit."""
    algorithm: str = "default"
    """``direct``, ``gemm``, ``spatial_pack``, ``winograd``, or the backend's own choice."""
    target: str = "local"
    """Where it runs: ``local``, or the name of a board."""
    options: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Options that only this backend knows."""
    protocol: Protocol = field(default=PROTOCOL)

    def __post_init__(self) -> None:
        """Take the name of a tuning for it."""
        object.__setattr__(self, "tuning", Tuning.of(self.tuning))

    @property
    def binding(self) -> Binding:
        """Sizes and values that the network leaves open."""
        return Binding(self.batch or None, self.dims, self.inputs, self.values)

    @property
    def key(self) -> str:
        """A digest of all that is asked for: two requests with one key are the same, whenever they are made.

        Limits of time and memory do not count, nor where a file lies whose content is known.
        """
        taken = self.compression
        asked: dict[str, object] = {
            # In the form that campaigns are recorded by: a digest that changed would have them run again.
            "network": Path(self.network).stem if self.model_sha256 else self.network,
            "source": self.model_sha256,
            "keep_channels": taken.keep_channels,
            "sparsity": taken.sparsity,
            "sparse_format": taken.sparse_format,
            "datatype": taken.datatype or self.datatype,
            "backend": self.backend,
            "algorithm": self.algorithm,
            "tuning": self.tuning,
            "trials": self.trials,
            "budget_s": self.tuning_budget_s,
            "batch": self.batch,
            "threads": self.threads,
            "target": self.target,
            "dims": dict(self.dims),
            "options": dict(self.options),
            "protocol": {
                name: value for name, value in asdict(self.protocol).items() if name not in _LIMITS
            },
        }
        plain = Compression(
            taken.keep_channels, sparsity=taken.sparsity, sparse_format=taken.sparse_format,
            datatypes=(taken.datatype,) if taken.datatype else (),
        )  # fmt: skip
        if taken != plain:
            asked["compression"] = asdict(taken)
        asked |= {"inputs": dict(self.inputs)} if self.inputs else {}
        asked |= {"values": dict(self.values)} if self.values else {}
        asked |= {"phase": self.phase, "context": self.context} if self.phase else {}
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def shown(self) -> str:
        """The network's name, of a decoder with the part that is run: ``llama32_1b decode at 4096``."""
        return f"{self.network} {self.phase} at {self.context}" if self.phase else self.network

    @property
    def brief(self) -> str:
        """What runs it: ``mlp on tvm tuned``."""
        tuned = f" {self.tuning}" if self.tuning is not Tuning.NONE else ""
        return f"{self.shown} on {self.backend}{tuned}"

    @property
    def tokens_per_item(self) -> int:
        """How many tokens one request of a batch has in the part of a decoder that is run; 0 for other networks."""
        return {"": 0, "prefill": self.context}.get(self.phase, 1)

    @property
    def title(self) -> str:
        """The request in one line."""
        taken = self.compression
        parts = [Path(self.network).stem if not self.phase else self.shown]
        parts += [taken.label] if taken.is_pruned else []
        parts += [taken.datatype or self.datatype, self.backend]
        parts += [self.algorithm] if self.algorithm != "default" else []
        parts += [self.tuning] if self.tuning is not Tuning.NONE else []
        parts += [f"batch {self.batch}"] if self.batch > 1 else []
        parts += [plural(self.threads, "thread")] if self.threads else []
        parts += [f"on {self.target}"] if self.target != "local" else []
        return ", ".join(part for part in parts if part)
