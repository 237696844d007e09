"""Channel pruning: plan which channels stay (pure), then write the network that has only those (a new model)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import distinct
from roofline.compress.call import inner_nodes, layer_name
from roofline.compress.changes import Change, changes
from roofline.compress.coupling._registry import Coupling, Producer, analyse
from roofline.compress.labels import FIXED, Labels
from roofline.compress.request import Pruning, kept_count
from roofline.compress.scores import Scorer, scorer
from roofline.compress.sparsity import WEIGHT_OPERANDS
from roofline.compress.tensors import inline_functions
from roofline.errors import CompressionError, did_you_mean
from roofline.node import Tensor
from roofline.number_format import plural
from roofline.surfaces import on_each

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that appear in exactly the same axes of the network; the share counts within it."""

    layers: tuple[str, ...]
    """The layers that make these channels, in the graph's order."""
    channels: int
    kept: tuple[int, ...]
    """Which of them stay, numbered within the group."""


@dataclass(frozen=True, slots=True)
class FixedLayer:
    """A layer whose channels (or some of them) cannot go, and why."""

    layer: str
    channels: int
    """How many stay for this reason."""
    reason: str


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """Which positions of which axes stay, and what else changes with them."""

    pruning: Pruning
    groups: tuple[ChannelGroup, ...]
    fixed: tuple[FixedLayer, ...]
    kept: Mapping[str, Mapping[int, tuple[int, ...]]] = field(repr=False)
    """For every value (stored or computed) that loses channels: by axis, the positions that stay."""
    changes: tuple[Change, ...] = field(repr=False)
    """Attributes and integer operands that count channels, with their new values."""

    @property
    def removed(self) -> int:
        """How many channels go, over all groups."""
        return sum(group.channels - len(group.kept) for group in self.groups)


def plan(model: onnx.ModelProto, pruning: Pruning, types: Mapping[str, Tensor]) -> PruningPlan:
    """Choose the channels that stay.

    Args:
        model: The network, with or without weights. Without them a magnitude criterion cannot choose and the
            first channels stay; how many stay is the same.
        pruning: The request.
        types: Shapes, datatypes and small values of the top-level values (``graph.resolve(model).types``).

    Raises:
        CompressionError: A pattern matches nothing, no channel can go, or an operator's coupling is unknown.
    """
    model = distinct(inline_functions(model))
    coupling = analyse(model, types)
    pools = _pools(coupling)
    if not pools and not pruning.dense:
        why = _reasons(coupling.producers, coupling) or _unfollowed_bodies(model)
        raise CompressionError(f"no channel of this network can be removed{why}")
    shares = _shares(pools, coupling, pruning)
    stays: NDArray[np.bool_] = np.ones(coupling.atoms.size, np.bool_)
    groups: list[ChannelGroup] = []
    scores = scorer(model, pruning.criterion)
    for ordinal, pool in enumerate(pools):
        chosen = _choose(pool, shares[ordinal], scores, pruning, ordinal)
        if len(chosen) == len(pool.roots):
            continue
        _refuse_unknown(coupling, pool)
        stays[pool.roots] = False
        stays[pool.roots[chosen]] = True
        layers = tuple(dict.fromkeys(producer.node for producer, _ in pool.producers))
        groups.append(ChannelGroup(layers, len(pool.roots), tuple(chosen.tolist())))

    def keeps(labels: Labels) -> NDArray[np.bool_]:
        return stays[coupling.atoms.roots(labels)]

    kept: dict[str, dict[int, tuple[int, ...]]] = {}
    for name, axes in coupling.values.items():
        for axis, labels in enumerate(axes):
            if labels.any() and not (mask := keeps(labels)).all():
                kept.setdefault(name, {})[axis] = tuple(np.flatnonzero(mask).tolist())
    return PruningPlan(
        pruning,
        tuple(groups),
        _fixed_layers(coupling),
        kept,
        changes(coupling.edits, keeps, model, types),
    )


@dataclass(frozen=True, slots=True)
class _Pool:
    roots: NDArray[np.int64]
    producers: tuple[tuple[Producer, Labels], ...]
    """The layers that make these channels, with the representative of each filter."""


def _pools(coupling: Coupling) -> list[_Pool]:
    """Partition the free channels by the axes they appear in.

    Every axis is then a union of whole pools, and since each pool keeps at least one channel, no axis vanishes.
    Each axis adds a pseudo-random number to the channels in it, as often as they occur; equal sums mean equal axes.
    """
    atoms = coupling.atoms
    chance = Random(0)
    signature = np.zeros(atoms.size, np.uint64)
    for axes in coupling.values.values():
        for labels in axes:
            if labels.any():
                mark = np.uint64(chance.getrandbits(63))
                np.add.at(signature, atoms.roots(labels), mark)
    makers: dict[int, list[tuple[Producer, Labels]]] = {}
    for producer in coupling.producers:
        roots = atoms.roots(producer.labels)
        for root in np.unique(roots[roots != FIXED]).tolist():
            makers.setdefault(root, []).append((producer, roots))
    pools: dict[int, list[int]] = {}
    for root in sorted(makers):
        pools.setdefault(int(signature[root]), []).append(root)
    return [_Pool(np.array(roots, np.int64), tuple(makers[roots[0]])) for roots in pools.values()]


def _shares(pools: Sequence[_Pool], coupling: Coupling, pruning: Pruning) -> list[float]:
    shares = [1.0 if pruning.keep is None else pruning.keep] * len(pools)
    for pattern, share in pruning.layers.items():
        matched = [
            i
            for i, pool in enumerate(pools)
            if any(_matches(p, pattern) for p, _ in pool.producers)
        ]
        if not matched:
            _refuse_pattern(pattern, coupling)
        for i in matched:
            shares[i] = share
    for layer in pruning.indices:
        if not any(_matches(p, layer) for pool in pools for p, _ in pool.producers):
            _refuse_pattern(layer, coupling)
    return shares


def _matches(producer: Producer, pattern: str) -> bool:
    return fnmatchcase(producer.node, pattern) or pattern in {producer.node, producer.tensor}


def _refuse_pattern(pattern: str, coupling: Coupling) -> None:
    named = [producer for producer in coupling.producers if _matches(producer, pattern)]
    if named:
        raise CompressionError(
            f"no channel of {pattern!r} can be removed{_reasons(named, coupling)}"
        )
    names = [producer.node for producer in coupling.producers]
    hint = (
        did_you_mean(pattern, names)
        or f"Layers: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
    )
    raise CompressionError(
        f"the pattern {pattern!r} matches no layer that makes channels", repair=hint
    )


def _reasons(producers: Sequence[Producer], coupling: Coupling) -> str:
    reasons = dict.fromkeys(coupling.atoms.reason(producer.labels) for producer in producers)
    known = [reason for reason in reasons if reason]
    return f": {'; '.join(known[:2])}" if known else ""


def _unfollowed_bodies(model: onnx.ModelProto) -> str:
    """Return that the layers with weights are in a body that is not followed, naming both, or that there is none."""
    for node in model.graph.node:
        layers = [inner for inner in inner_nodes(node) if inner.op_type in WEIGHT_OPERANDS]
        if layers:
            first = f"{layers[0].op_type} {layer_name(layers[0])}"
            others = f" and {plural(len(layers) - 1, 'more layer')}" if layers[1:] else ""
            return (
                f": {first}{others} {'are' if others else 'is'} inside {node.op_type} {layer_name(node)}, "
                "through which channels are not followed"
            )
    return ": it has no layer that makes channels"


def _choose(
    pool: _Pool, share: float, scores: Scorer, pruning: Pruning, ordinal: int
) -> NDArray[np.int64]:
    count = len(pool.roots)
    for layer, filters in pruning.indices.items():
        for producer, roots in pool.producers:
            if _matches(producer, layer):
                return _listed_filters(pool, layer, filters, roots)
    stay = kept_count(count, share)
    if stay == count:
        return np.arange(count)
    if pruning.criterion == "random":
        chance = np.random.default_rng((pruning.seed, ordinal))
        return np.sort(chance.permutation(count)[:stay])
    total = np.zeros(count)
    if pruning.criterion in {"l1", "l2"}:
        for producer, roots in pool.producers:
            total += _per_channel(pool, roots, scores(producer))
    return np.sort(np.argsort(-total, kind="stable")[:stay])


def _per_channel(pool: _Pool, roots: Labels, scores: NDArray[Any] | None) -> NDArray[np.float64]:
    total = np.zeros(len(pool.roots))
    if scores is None:
        return total
    at = np.searchsorted(pool.roots, roots)
    at[at == len(pool.roots)] = 0
    mine = pool.roots[at] == roots
    np.add.at(total, at[mine], scores[mine])
    return total


def _listed_filters(
    pool: _Pool, layer: str, filters: Sequence[int], roots: Labels
) -> NDArray[np.int64]:
    outside = [index for index in filters if not 0 <= index < len(roots)]
    if outside:
        raise CompressionError(
            f"{layer} has {plural(len(roots), 'filter')}, so there is no filter {outside[0]} to keep"
        )
    chosen = np.flatnonzero(np.isin(pool.roots, roots[list(filters)]))
    if not len(chosen):
        raise CompressionError(
            f"the filters listed for {layer} leave one of its groups of channels empty"
        )
    return chosen


_WHOLE = on_each("--keep-channels 'PATTERN=1'", "pruning={'PATTERN': 1}")


def _refuse_unknown(coupling: Coupling, pool: _Pool) -> None:
    for blocked in coupling.blocked:
        for labels in blocked.labels:
            if np.isin(coupling.atoms.roots(labels), pool.roots).any():
                raise CompressionError(
                    f"channels of {pool.producers[0][0].node} reach {blocked.op_type} {blocked.node}, which "
                    f"{blocked.why}",
                    repair=f"Keep those layers whole with {_WHOLE}",
                )


def _fixed_layers(coupling: Coupling) -> tuple[FixedLayer, ...]:
    found: dict[str, FixedLayer] = {}
    for producer in coupling.producers:
        stay = int((coupling.atoms.roots(producer.labels) == FIXED).sum())
        if stay:
            reason = coupling.atoms.reason(producer.labels)
            found.setdefault(producer.node, FixedLayer(producer.node, stay, reason))
    return tuple(found.values())
