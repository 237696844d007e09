"""The phases of a decoder: all positions of the prompt at once, then one position at a time behind a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from roofline.conventions import Causal
from roofline.decoding.request import Request, Spread
from roofline.decoding.roles import Roles, roles_of
from roofline.decoding.unrolled_experts import UnrolledExperts, unrolled_experts
from roofline.errors import OptionError
from roofline.layer import Layer
from roofline.number_format import plural
from roofline.surfaces import CONTEXT_LENGTH, DEVICES, NEW_TOKENS
from roofline.workload import Workload

if TYPE_CHECKING:
    import onnx

_SHARE = 4
"""Of few positions the new tokens take one in so many, where none are asked for."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """A decoder's graph, whose inputs are bound by role."""

    name: str
    model: onnx.ModelProto
    roles: Roles
    experts: UnrolledExperts | None = None
    """Those that the graph computes all, though each token needs few."""
    fused: bool = True
    """Whether its phases have their layers as runtimes fuse them, too."""
    stored: str = ""
    """Format that its weights are published in, which is predicted where no other is asked for."""
    unread: str = ""
    """Method by which its weights are published in a format that is not known."""
    _counts: dict[tuple[Causal, int, int, int], Workload] = field(
        default_factory=dict[tuple[Causal, int, int, int], Workload],
        init=False,
        repr=False,
        compare=False,
    )
    """What was counted, by causal, requests, past and new positions: counting takes longer than all that follows."""

    def fit(self, request: Request) -> Request:
        """Return a request whose lengths that nobody asked for fit the model's positions."""
        most = self.roles.positions
        if most is None or request.length <= most:
            return request
        new = request.new_tokens
        if "new_tokens" in request.defaults:
            new = max(1, min(new, most // _SHARE))
        context = request.context
        if "context" in request.defaults:
            context = max(1, min(context, most - new))
        return replace(request, context=context, new_tokens=new)

    def check(self, request: Request) -> None:
        """Check that a request can be served at all.

        Raises:
            OptionError: It is longer than the model's positions, or the heads do not spread over the devices.
        """
        most, heads = self.roles.positions, self.roles.heads
        written = request.positions - request.context
        if most is not None and request.positions > most:
            behind = f" and {plural(request.new_tokens, 'new token')}" if written else ""
            raise OptionError(
                f"{self.name} has {plural(most, 'position')}; {request.context:,} of context{behind} "
                f"need {request.positions:,}",
                repair=f"Give a {CONTEXT_LENGTH} of at most {most - written:,}"
                if written < most
                else f"Give at most {most - 1:,} {NEW_TOKENS}",
            )
        layers = self.roles.layers
        if request.spread is Spread.SERIES and request.devices > layers:
            raise OptionError(
                f"{self.name} has {plural(layers, 'layer')}, fewer than {plural(request.devices, 'device')}",
                repair=f"Give {DEVICES} of at most {layers}",
            )
        if request.spread is Spread.SERIES:
            return
        if request.devices > 1 and heads is not None and heads % request.devices:
            fitting = ", ".join(str(count) for count in range(1, heads + 1) if heads % count == 0)
            raise OptionError(
                f"the {plural(heads, 'head')} of {self.name} cannot be spread over {plural(request.devices, 'device')}",
                repair=f"Give {DEVICES} as one of: {fitting}",
            )

    def counts(self, spread: Spread) -> tuple[int, ...]:
        """Return the numbers of devices that it can be spread over, in order."""
        if spread is Spread.SERIES:
            return tuple(range(1, self.roles.layers + 1))
        heads = self.roles.heads or 1
        return tuple(count for count in range(1, heads + 1) if heads % count == 0)

    def prompt(self, request: Request, requests: int) -> Workload:
        """Return what so many prompts require, all positions at once."""
        return self._count(request, requests, 0, request.context)

    def step(self, request: Request, requests: int) -> Workload:
        """Return what one further token of each request requires, at the mean place of the new tokens.

        Operations and bytes of attention grow in proportion to the place, so the mean place has the mean of both.
        """
        past = request.context + (request.new_tokens - 1) // 2
        return self._count(request, requests, past, 1)

    def _count(self, request: Request, requests: int, past: int, new: int) -> Workload:
        asked = (request.causal, requests, past, new)
        known = self._counts.get(asked)
        if known is not None:
            return known
        binding = replace(self.roles.bind(requests, past, new), causal=request.causal)
        counted = Workload.from_onnx(self.model, name=self.name, binding=binding, fused=self.fused)
        part = (
            f"the prompt of {plural(new, 'position')}"
            if not past
            else f"one token behind {plural(past, 'position')}"
        )
        notes = (f"counts are of {part}, {requests} at a time", *counted.notes)
        if self.stored:
            notes += (
                f"its weights are published in {self.stored}; "
                "where no datatype is asked for they count as the graph has them",
            )
        if self.experts is not None:
            counted = replace(counted, layers=_mark_limits(counted.layers, self.experts))
            notes += (self.experts.note,)
        return self._counts.setdefault(asked, replace(counted, notes=notes))


def _mark_limits(layers: Sequence[Layer], experts: UnrolledExperts) -> tuple[Layer, ...]:
    return tuple(
        replace(layer, at_most=True) if layer.name in experts.products else layer
        for layer in layers
    )


def find_decoding(
    name: str, model: onnx.ModelProto, *, stored: str = "", unread: str = ""
) -> Decoding | None:
    """Return a graph as a decoder; None where it has no cache among its inputs.

    Args:
        name: What it is called.
        model: The graph.
        stored: Format that its weights are published in, where that is not the graph's own datatype.
        unread: Method of a format that they are published in and that is not known.

    Raises:
        DimensionError: It has one, but its inputs cannot be told apart.
    """
    roles = roles_of(model)
    if roles is None:
        return None
    return Decoding(
        name,
        _with_own_masks(model, roles),
        roles,
        unrolled_experts(model),
        stored=stored,
        unread=unread,
    )


def _with_own_masks(model: onnx.ModelProto, roles: Roles) -> onnx.ModelProto:
    """Return a graph whose masks are not declared to be as long as the new tokens are.

    Merged exports of optimum take the declarations from the branch of the prompt, where both lengths are one.
    """
    lengths = {size for size in roles.tokens.shape[1:] if isinstance(size, str)}
    named = {mask.name for mask in roles.masks if lengths.intersection(mask.shape[1:])}
    if not named:
        return model
    changed = type(model)()
    changed.CopyFrom(model)
    for entry in changed.graph.input:
        if entry.name in named:
            for size in list(entry.type.tensor_type.shape.dim)[1:]:
                if size.dim_param in lengths:
                    size.ClearField("dim_param")
    return changed
