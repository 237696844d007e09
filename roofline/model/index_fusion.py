"""Which operators a compiler runs as one kernel, by how the indices of their results follow from those of operands.

The rules are those of TVM's `FuseOps` ("TVM: An Automated End-to-End Optimizing Compiler for Deep Learning", OSDI
2018, Section 3): an operator is merged into the one that all paths from its result lead through, where everything
between computes element by element. A convolution or product takes along what follows it element by element, and at
most one stands in a kernel; work on elements goes into what moves or sums them; a sum or a softmax ends a kernel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from roofline.layer import Layer
from roofline.model._activation_patterns import is_product
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile
from roofline.ops import Kind
from roofline.workload import Workload

BY_INDEX = "by_index"
"""Name of these rules among the traits of a profile."""


class _Pattern(IntEnum):
    """How an operator's result follows from its operands, the simplest first."""

    EACH = 0
    MOVED = 1
    SUMMED = 2
    PRODUCT = 3
    OPAQUE = 4


_AS_THEY_ARE = ("Identity", "Dropout", "BatchNormalization")
_OUT_OF_BLOCKS = frozenset(
    {"Ceil", "Elu", "Equal", "Floor", "Greater", "Less", "Log", "Mod", "PRelu", "Pow", "Round", "Selu", "Softplus",
     "Sqrt", "Where"}
)  # fmt: skip
"""Work on elements for which images leave blocks of channels: no convolution takes it along."""
_ROWS = 2
"""Axes of a product's result up to which what follows is taken along: more are a view of its rows."""


def merged_layers(workload: Workload, profile: Profile) -> Mapping[str, str | None]:
    """Return, by name, the layers that cost nothing in a kernel of others (None), or the kind of what they add to it.

    Args:
        workload: The network.
        profile: Its samples say what a function adds to a kernel that passes over its values anyway.
    """
    found: dict[str, str | None] = {}
    for group in kernels_of(workload.layers):
        bearer = _bearer(group, profile)
        for layer in group:
            if layer is not bearer and layer.kind is not Kind.VIEW:
                found[layer.name] = _added(layer, profile)
    return found


def _bearer(group: Sequence[Layer], profile: Profile) -> Layer:
    """Return the layer whose time is the kernel's own: its product, sum or move, else its slowest function."""

    def weight(layer: Layer) -> tuple[bool, int, bool, int]:
        pattern = _pattern(layer)
        moved = layer.input_bytes + layer.output_bytes
        stands = layer.kind is not Kind.VIEW
        return stands, pattern, _added(layer, profile) is not None, moved

    return max(group, key=weight)


def _added(layer: Layer, profile: Profile) -> str | None:
    """Return the kind under which it was measured what a function adds to a kernel, or None where it adds nothing."""
    work = works(layer)
    if work is None or not work.kind.startswith("elementwise."):
        return None
    kind = f"packed.{work.kind.removeprefix('elementwise.')}"
    return kind if kind in profile.samples else None


def kernels_of(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Return the groups of layers that run as one kernel, those of one layer too, each in order."""
    readers = _readers(layers)
    made = _last_readers(readers)
    patterns = [_pattern(layer) for layer in layers]
    groups = list(range(len(layers)))
    # By the root of a group.
    has_product = [pattern is _Pattern.PRODUCT for pattern in patterns]

    def root(place: int) -> int:
        while groups[place] != place:
            place = groups[place]
        return place

    def merge(place: int, limit: Callable[[int], bool], sink: int) -> None:
        path = _between(readers, place, sink)
        if not all(limit(step) for step in path):
            return
        merged = {root(step) for step in (place, *path, sink)}
        products = sum(has_product[step] for step in merged)
        if products > 1:
            return
        into = root(sink)
        for step in merged:
            groups[step] = into
        has_product[into] = products == 1

    for place, pattern in enumerate(patterns):
        sink = made[place]
        if sink is None:
            continue
        if has_product[root(place)]:
            # Of a product and of what it took along: the rest must be of its shape.
            alike = layers[place].output_bytes == layers[sink].output_bytes
            alike = alike and layers[sink].op_type not in _OUT_OF_BLOCKS
            if patterns[sink] is _Pattern.EACH and alike and _takes_along(layers[place]):
                merge(place, lambda step: patterns[step] is _Pattern.EACH, sink)
        elif pattern <= _Pattern.MOVED:
            # Work on elements goes into what moves or sums them, a move into another alone.
            most = _Pattern.SUMMED if pattern is _Pattern.EACH else _Pattern.MOVED
            if patterns[sink] <= most:
                merge(place, lambda step: patterns[step] <= _Pattern.MOVED, sink)
    found: dict[int, list[Layer]] = defaultdict(list)
    for place, layer in enumerate(layers):
        found[root(place)].append(layer)
    return list(found.values())


def _takes_along(layer: Layer) -> bool:
    """Return whether what follows a layer can be done in its kernel: a product of more than rows ends in a view."""
    rank = max((len(tensor.shape or ()) for tensor in layer.outputs), default=0)
    return not is_product(layer) or "Conv" in layer.op_type or rank <= _ROWS


def _pattern(layer: Layer) -> _Pattern:
    if is_product(layer):
        return _Pattern.PRODUCT
    if layer.op_type in _AS_THEY_ARE:
        return _Pattern.EACH
    if layer.kind in (Kind.VIEW, Kind.MOVE):
        return _Pattern.MOVED
    work = works(layer)
    kind = "" if work is None else work.kind
    if kind.startswith("elementwise."):
        return _Pattern.EACH
    return _Pattern.SUMMED if kind.startswith("reduction.Reduce") else _Pattern.OPAQUE


def _readers(layers: Sequence[Layer]) -> list[list[int]]:
    """Return, by layer, the places of those that read its results."""
    makers = {tensor.name: place for place, layer in enumerate(layers) for tensor in layer.outputs}
    found: list[list[int]] = [[] for _ in layers]
    for place, layer in enumerate(layers):
        for name in {tensor.name for tensor in layer.inputs}:
            maker = makers.get(name)
            if maker is not None and maker < place:
                found[maker].append(place)
    return found


def _last_readers(readers: Sequence[Sequence[int]]) -> list[int | None]:
    """Return, by layer, the first one that every path from its results leads through; None where there is none.

    Args:
        readers: As `_readers` returns them.
    """
    found: list[int | None] = [None] * len(readers)
    depth = [0] * len(readers)

    def common(first: int | None, second: int | None) -> int | None:
        while first != second:
            if first is None or second is None:
                return None
            if depth[first] >= depth[second]:
                first = found[first]
            else:
                second = found[second]
        return first

    for place in range(len(readers) - 1, -1, -1):
        sink: int | None = readers[place][0] if readers[place] else None
        for reader in readers[place][1:]:
            sink = common(sink, reader)
        found[place] = sink
        depth[place] = 0 if sink is None else depth[sink] + 1
    return found


def _between(readers: Sequence[Sequence[int]], place: int, sink: int) -> list[int]:
    """Return the layers on all paths from one to another, neither of them included."""
    seen: set[int] = set()
    todo = [step for step in readers[place] if step != sink]
    while todo:
        step = todo.pop()
        if step not in seen:
            seen.add(step)
            todo += [reader for reader in readers[step] if reader != sink]
    return sorted(seen)
