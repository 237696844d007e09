"""Patterns of several calls that runtimes run as one: normalizations, softmax, attention, activations.

A pattern is one function under `pattern`: from a call of the operator that gives it away it names the calls that make
it up, or nothing. That they have one exit is checked for all patterns alike by `View.claim`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roofline.graph.fusion._view import View
from roofline.ops import Role

Matcher = Callable[[View, int], "Sequence[Sequence[int]]"]
"""Returns candidate sets of calls around a place, the one to prefer first."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One row of the table."""

    name: str
    anchors: frozenset[str]
    role: Role
    match: Matcher


PATTERNS: list[Pattern] = []
"""Every pattern in the order it is tried."""


def pattern(name: str, *anchors: str, role: Role) -> Callable[[Matcher], Matcher]:
    """Return a decorator that adds a matcher to the table."""

    def decorate(match: Matcher) -> Matcher:
        PATTERNS.append(Pattern(name, frozenset(anchors), role, match))
        return match

    return decorate


def apply(view: View) -> None:
    """Claim every pattern of a graph."""
    by_anchor: dict[str, list[Pattern]] = {}
    for row in PATTERNS:
        for op_type in row.anchors:
            by_anchor.setdefault(op_type, []).append(row)
    found: list[list[int]] = [[] for _ in PATTERNS]
    ranks = {id(row): rank for rank, row in enumerate(PATTERNS)}
    for place in range(len(view.calls)):
        node = view.node(place)
        if view.live[place] and not node.domain:
            for row in by_anchor.get(node.op_type, ()):
                found[ranks[id(row)]].append(place)
    for row, places in zip(PATTERNS, found, strict=True):
        for place in places:
            for members in row.match(view, place):
                if len(members) > 1 and view.claim(row.name, members, place, row.role):
                    break


_PRODUCTS = frozenset(
    {"MatMul", "FusedMatMul", "Einsum", "Gemm", "MatMulInteger", "QLinearMatMul"}
)
_BETWEEN = frozenset(
    {"Mul", "Div", "Add", "Sub", "Where", "Cast", "Clip", "Max", "Min", "Tanh", "Dropout", "IsNaN"}
)
_LONGEST = 8


@pattern("attention", "Softmax", role=Role.ATTENTION)
def _attention(view: View, place: int) -> Sequence[Sequence[int]]:
    """MatMul, scale, mask, Softmax, MatMul: the scores stay on chip."""
    above = _climb(view, next(iter(view.flows[place]), ""), _LONGEST)
    if above is None:
        return ()
    below: list[int] = []
    waiting = [place]
    while waiting and len(below) < _LONGEST:
        for user in view.users(waiting.pop()):
            if user in below:
                continue
            below.append(user)
            op_type = view.node(user).op_type
            if op_type in _PRODUCTS:
                return ([*above, place, *below],)
            if op_type in _BETWEEN:
                waiting.append(user)
    return ()


def _climb(view: View, name: str, steps: int) -> list[int] | None:
    """Return the calls from a value up to the product that its elements come from."""
    place = view.source(name)
    if place is None or steps == 0:
        return None
    op_type = view.node(place).op_type
    if op_type in _PRODUCTS:
        return [place]
    if op_type not in _BETWEEN:
        return None
    scores = view.tensors.get(name)
    for flow in view.flows[place]:
        above = view.tensors.get(flow)
        # A mask that is broadcast is smaller than the scores. A loop's own values have no shape outside it.
        if scores is not None and above is not None and above.elements == scores.elements:
            found = _climb(view, flow, steps - 1)
            if found is not None:
                return [*found, place]
    return None


_NORMALIZING = frozenset(
    {"Sub", "Pow", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Reciprocal", "Cast", "Abs"}
)


@pattern("layer_norm", "ReduceMean", role=Role.NORM)
def _layer_norm(view: View, place: int) -> Sequence[Sequence[int]]:
    """(x - mean) / sqrt(mean((x - mean)^2) + eps) * gamma + beta."""
    root = _only_root(view, place)
    if root is None or not any(view.node(user).op_type == "Sub" for user in view.users(place)):
        return ()
    members = _grow(view, [place], root, _NORMALIZING)
    return _shorter_heads(view, members, lambda ops: ops["ReduceMean"] == 2 and _has_root(ops))


@pattern("rms_norm", "ReduceMean", role=Role.NORM)
def _rms_norm(view: View, place: int) -> Sequence[Sequence[int]]:
    """Match x / sqrt(mean(x^2) + eps) * gamma."""
    square = _origin(view, place)
    root = None if square is None else _only_root(view, square)
    if square is None or root is None or view.node(square).op_type not in ("Pow", "Mul"):
        return ()
    members = _grow(view, [square, place], root, _NORMALIZING - {"Sub"})
    return _shorter_heads(view, members, lambda ops: ops["ReduceMean"] == 1 and _has_root(ops))


@pattern("softmax", "Exp", role=Role.SOFTMAX)
def _softmax(view: View, place: int) -> Sequence[Sequence[int]]:
    """exp(x - max) / sum(exp(x - max))."""
    users = view.users(place)
    sums = [user for user in users if view.node(user).op_type == "ReduceSum"]
    quotients = [user for user in users if view.node(user).op_type == "Div"]
    if len(sums) != 1 or len(quotients) != 1:
        return ()
    core = [place, sums[0], quotients[0]]
    shifted = _origin(view, place)
    if shifted is None or view.node(shifted).op_type != "Sub":
        return (core,)
    peaks = [
        maker
        for maker in map(view.source, view.flows[shifted])
        if maker is not None and view.node(maker).op_type == "ReduceMax"
    ]
    return ([*core, shifted, *peaks], core)


_GELU = frozenset({"Add", "Mul", "Div", "Cast"})


@pattern("gelu", "Erf", role=Role.ELEMENTWISE)
def _gelu_erf(view: View, place: int) -> Sequence[Sequence[int]]:
    """Match x / 2 * (1 + erf(x / sqrt(2))), in any order of its factors."""
    scaled = _origin(view, place)
    root = None if scaled is None else _only_root(view, scaled)
    if scaled is None or root is None or view.node(scaled).op_type not in ("Div", "Mul"):
        return ()
    members = _grow(view, [scaled, place], root, _GELU)
    return _shorter_heads(view, members, lambda ops: ops["Add"] >= 1 and ops["Mul"] >= 1)


@pattern("gelu", "Tanh", role=Role.ELEMENTWISE)
def _gelu_tanh(view: View, place: int) -> Sequence[Sequence[int]]:
    """Match x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))."""
    above: dict[int, None] = {}
    roots: dict[str, None] = {}
    waiting = list(view.flows[place])
    while waiting and len(above) < _LONGEST:
        name = waiting.pop()
        maker = view.source(name)
        if maker is None or view.node(maker).op_type not in ("Mul", "Add", "Pow"):
            roots[view.root(name)] = None
        elif maker not in above:
            above[maker] = None
            waiting += view.flows[maker]
    return _tanh_candidates(view, place, list(above), list(roots))


def _tanh_candidates(
    view: View, place: int, above: list[int], roots: list[str]
) -> Sequence[Sequence[int]]:
    for root in [*roots, *(name for maker in above for name in view.outputs(maker))]:
        members = [maker for maker in above if _reaches(view, maker, root)]
        ops = Counter(view.node(maker).op_type for maker in members)
        if ops["Add"] >= 1 and (ops["Pow"] == 1 or ops["Mul"] >= 3):
            grown = _grow(view, [*members, place], root, _GELU)
            found = _shorter_heads(
                view, grown, lambda found: found["Add"] >= 2 and found["Mul"] >= 2
            )
            if found:
                return found
    return ()


def _reaches(view: View, place: int, root: str, steps: int = 6) -> bool:
    """Return whether everything that flows into a call comes from one value."""
    if steps == 0 or root in view.outputs(place):
        return False
    for flow in view.flows[place]:
        if view.root(flow) == root:
            continue
        maker = view.source(flow)
        if maker is None or view.node(maker).op_type not in ("Mul", "Add", "Pow"):
            return False
        if not _reaches(view, maker, root, steps - 1):
            return False
    return True


@pattern("hard_swish", "HardSigmoid", role=Role.ELEMENTWISE)
@pattern("silu", "Sigmoid", role=Role.ELEMENTWISE)
def _gated(view: View, place: int) -> Sequence[Sequence[int]]:
    """Match x * sigmoid(x), x * sigmoid(1.702 x) and x * hard_sigmoid(x)."""
    return _gate(view, place)


@pattern("mish", "Tanh", role=Role.ELEMENTWISE)
def _mish(view: View, place: int) -> Sequence[Sequence[int]]:
    """Match x * tanh(softplus(x))."""
    inner = _origin(view, place)
    if inner is None or view.node(inner).op_type != "Softplus":
        return ()
    return _gate(view, place, inner)


@pattern("hard_swish", "Clip", role=Role.ELEMENTWISE)
def _hard_swish_clip(view: View, place: int) -> Sequence[Sequence[int]]:
    """Match x * clip(x + 3, 0, 6) / 6, in any order of its factors."""
    shifted = _origin(view, place)
    root = None if shifted is None else _only_root(view, shifted)
    if shifted is None or root is None or view.node(shifted).op_type != "Add":
        return ()
    members = _grow(view, [shifted, place], root, frozenset({"Mul", "Div"}))
    return _shorter_heads(
        view, members, lambda ops: ops["Mul"] >= 1 and ops["Mul"] + ops["Div"] >= 2
    )


@pattern("integer_rescale", "MatMulInteger", "ConvInteger", role=Role.INTEGER)
def _integer_rescale(view: View, place: int) -> Sequence[Sequence[int]]:
    """Integer product, Cast, Mul by the scales; the product of the scales comes along."""
    cast = view.users(place)
    if len(cast) != 1 or view.node(cast[0]).op_type != "Cast":
        return ()
    scaled = view.users(cast[0])
    if len(scaled) != 1 or view.node(scaled[0]).op_type != "Mul":
        return ()
    core = [place, cast[0], scaled[0]]
    scales = [
        maker
        for maker in map(view.source, view.flows[scaled[0]])
        if maker is not None and maker != cast[0] and view.node(maker).op_type == "Mul"
    ]
    return ([*core, *scales], core)


def _gate(view: View, place: int, inner: int | None = None) -> Sequence[Sequence[int]]:
    """A gate of x times x itself; the gate may scale x first."""
    first = view.flows[inner if inner is not None else place]
    users = view.users(place)
    if not first or len(users) != 1 or view.node(users[0]).op_type != "Mul":
        return ()
    members = [place, users[0]] if inner is None else [inner, place, users[0]]
    others = {view.root(flow) for flow in view.flows[users[0]]} - {
        view.root(name) for name in view.outputs(place)
    }
    root = view.root(first[0])
    if others == {root}:
        return (members,)
    scale = view.source(first[0])
    if (
        scale is not None
        and view.node(scale).op_type == "Mul"
        and others == {_only_root(view, scale)}
    ):
        return ([scale, *members],)
    return ()


def _origin(view: View, place: int) -> int | None:
    """Return the call that makes what a call reads first, or None."""
    first = next(iter(view.flows[place]), None)
    return None if first is None else view.source(first)


def _only_root(view: View, place: int) -> str | None:
    """Return the only stored value a call reads, or None when it reads several."""
    roots = {view.root(flow) for flow in view.flows[place]}
    return roots.pop() if len(roots) == 1 else None


def _has_root(ops: Counter[str]) -> bool:
    return ops["Sqrt"] + ops["Pow"] >= 1 and ops["Div"] + ops["Reciprocal"] + ops["Mul"] >= 1


def _grow(
    view: View, seeds: Sequence[int], root: str, allowed: frozenset[str], limit: int = 16
) -> list[int]:
    """Return seeds and the calls that follow from them and one outside value alone."""
    members = dict.fromkeys(seeds)
    waiting = deque(seeds)
    while waiting and len(members) < limit:
        for user in view.users(waiting.popleft()):
            if user in members or view.node(user).op_type not in allowed:
                continue
            beside: list[int] = []
            for flow in view.flows[user]:
                maker = view.source(flow)
                if view.root(flow) == root or maker in members:
                    continue
                if (
                    maker is None
                    or view.node(maker).op_type not in allowed
                    or _only_root(view, maker) != root
                    or len(view.users(maker)) != 1
                ):
                    break
                beside.append(maker)
            else:
                for place in (*beside, user):
                    members[place] = None
                    waiting.append(place)
    return list(members)


def _shorter_heads(
    view: View, members: list[int], complete: Callable[[Counter[str]], bool]
) -> Sequence[Sequence[int]]:
    """Return ever shorter heads of what has grown, as long as they are the whole pattern."""
    found: list[list[int]] = []
    for length in range(len(members), 1, -1):
        head = members[:length]
        if not complete(Counter(view.node(place).op_type for place in head)):
            break
        found.append(head)
    return found
