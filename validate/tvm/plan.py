"""Which kernels a model gets in TVM: integer, sparse, an algorithm for every convolution; and what then executes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roofline.number_format import plural
from roofline.validate.records.executed import Executed, describe_execution
from roofline.validate.tvm import algorithms
from roofline.validate.tvm.blocked.layout import use_blocks
from roofline.validate.tvm.convolution import Convolution
from roofline.validate.tvm.integer import use_integers
from roofline.validate.tvm.setup import has_feature, lanes
from roofline.validate.tvm.sparse import apply_sparse, sparse_form

BLOCKED, BEST = "blocked", "best"
ALGORITHMS = ("default", BLOCKED, *algorithms.ALGORITHMS, BEST)
"""Values of ``--algorithm``. ``default`` is ``blocked`` when tuned and TVM's own lowering when untuned; ``best`` takes
the fastest for every convolution."""

Choose = Callable[[Convolution], str]


@dataclass(frozen=True, slots=True)
class Computation:
    """How the layers of a model are to be computed."""

    algorithm: str = "default"
    """Of dense convolutions: a name of `ALGORITHMS`; ``default`` is TVM's own choice."""
    sparse_format: str = "dense"
    """``csr`` or ``bsr`` skips the zeros of pruned weights; convolutions then go by ``algorithm``
    too, direct or as a matrix product."""

    @property
    def blocked(self) -> bool:
        """Whether layers become kernels on blocks of channels."""
        return self.algorithm in {BLOCKED, BEST}


@dataclass(frozen=True, slots=True)
class ArrangedModule:
    """A Relax module, and what was done to it."""

    module: Any
    notes: tuple[str, ...] = ()
    executed: Executed = field(default_factory=Executed)
    """What the arithmetic runs in, where it is not the datatype of the file's weights."""
    layers: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many convolutions are computed by each algorithm; empty where none has one of its own."""
    chosen: tuple[str, ...] = ()
    """For ``best``, the algorithm of every convolution in the order of their calls."""


def arrange_weights(module: Any, how: Computation) -> ArrangedModule:
    """Put integer and sparse kernels in the place of layers whose weights allow it.

    Args:
        module: A Relax module as imported: folding constants would turn integer weights into floats.
        how: What is asked.
    """
    notes: list[str] = []
    executed = Executed()
    module, quantized = use_integers(module)
    if quantized["integer"]:
        executed = describe_execution(["int8", *["fp32"][: quantized["float"]]])
        notes.append(
            f"{plural(quantized['integer'], 'layer')} in integers, {quantized['float']} in floating point"
        )
    if how.sparse_format != "dense":
        way = "gemm" if how.algorithm == "gemm" else "direct"
        module, sparse = apply_sparse(module, sparse_form(f"{how.sparse_format}_{way}"))
        notes.append(
            f"{plural(sparse['sparse'], 'layer')} sparse ({how.sparse_format}, {way}), {sparse['dense']} dense"
        )
    return ArrangedModule(module, tuple(notes), executed)


def arrange_convolutions(
    module: Any, target: Any, how: Computation, choose: Choose | None = None
) -> ArrangedModule:
    """Give every dense convolution its algorithm.

    Args:
        module: A Relax module with its constants folded, before legalization.
        target: The TVM target.
        how: What is asked.
        choose: For ``best``, a convolution's algorithm; where it is None, ``blocked`` stands for all.
    """
    if how.algorithm == "default":
        return ArrangedModule(module)

    def pick(conv: Convolution) -> str:
        if how.algorithm == BEST:
            return BLOCKED if choose is None else choose(conv)
        return how.algorithm

    chosen: list[str] = []

    def choose_plain(conv: Convolution) -> str:
        # What is to be blocked passes through as a plain convolution.
        chosen.append(pick(conv))
        return "direct" if chosen[-1] == BLOCKED else chosen[-1]

    module, used = algorithms.apply(module, target, choose_plain)
    if how.blocked:
        module, made = use_blocks(
            module, target, lanes(target), lambda conv: pick(conv) == BLOCKED,
            vnni=has_feature(target, "avx512vnni"),
        )  # fmt: skip
        used = {**used, "direct": 0, **made}
    counts = {name: count for name, count in sorted(used.items()) if count}
    if not counts:
        return ArrangedModule(module)
    notes = ["layers: " + ", ".join(f"{count} {name}" for name, count in counts.items())]
    if how.algorithm not in {"direct", BEST} and counts.get("direct"):
        notes.append(
            f"{plural(counts['direct'], 'layer stays', 'layers stay')} direct, where {how.algorithm} does not apply"
        )
    return ArrangedModule(
        module, tuple(notes), layers=counts, chosen=tuple(chosen) if how.algorithm == BEST else ()
    )
