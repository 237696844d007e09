"""Decoders: networks that write text token by token, from their sizes.

A decoder's graph is spelled as ONNX Runtime's generative extension exports it: token numbers, an attention mask and
the past keys and values go in; the scores of the last position and the grown keys and values come out. The prompt
(many positions, no past) and each further token (one position, the past) are the same graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from roofline.errors import NetworkError
from roofline.number_format import plural
from roofline.reading import MAX_INTEGER, quote
from roofline.workloads._decoder_parts import (
    angles,
    cap,
    head_norm,
    last_bounds,
    lengths,
    norm,
    table,
)
from roofline.workloads._linear_attention import LinearAttention

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roofline.workloads._builder import Builder
    from roofline.workloads._value import Value

_MS = "com.microsoft"
MOST_LAYERS = 1000
"""The most layers of a decoder: seven times those of the deepest there is."""


class SizesError(NetworkError):
    """Sizes make no decoder.

    Args:
        what: What is wrong with them.
        way: How to mend it, each size in braces: a file may have its own names for them.
    """

    def __init__(self, what: str, way: str) -> None:
        self.way = way
        super().__init__(f"these sizes make no decoder: {what}", repair=self.repair_in({}))

    def repair_in(self, names: Mapping[str, str]) -> str:
        """Return how to mend it where some sizes have other names."""
        own = {entry.name: entry.name for entry in fields(Decoder)}
        return self.way.format_map(own | dict(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """The sizes that make a decoder."""

    layers: int
    hidden: int
    """Width between layers."""
    heads: int
    """Of queries."""
    kv_heads: int
    """Of keys and values; several heads of queries share one."""
    head_size: int
    """Its own number: heads times it need not be the hidden width."""
    vocabulary: int
    positions: int
    """The longest context the model was made for."""
    mlp: int = 0
    """Inner width of the gated MLP, which has three matrices; 0 where every layer is a mixture of experts."""
    experts: int = 0
    """In every layer; 0 for a dense decoder."""
    active: int = 0
    """Experts that each token chooses."""
    expert_mlp: int = 0
    """Inner width of each expert's gated MLP."""
    window: int = 0
    """Positions that a layer with a window sees, its own among them; 0 without windows."""
    full_every: int = 0
    """Each so many-th layer sees everything although others have windows or linear attention; 0 for none."""
    linear_heads: int = 0
    """Heads of values of a layer whose attention is linear: a state of fixed size for each; 0 without such layers."""
    linear_key_heads: int = 0
    """Of its queries and keys; several heads of values share one."""
    linear_size: int = 0
    """Of its heads."""
    kernel: int = 0
    """Positions that the convolution in front of linear attention sees."""
    rotary: int = 0
    """Dimensions of a head that are turned by its position; 0 for all."""
    gated: bool = False
    """Whether what attention gives is multiplied by a gate, as wide as the queries."""
    shared_mlp: int = 0
    """Inner width of a gated MLP beside the experts that every token passes, behind a gate of its own; 0 for none."""
    tied: bool = False
    """Whether the output projection is the table of embeddings."""
    qkv_bias: bool = False
    output_bias: bool = False
    """Of the projection behind attention."""
    qk_norm: bool = False
    """Whether each head's queries and keys are normalized."""
    sinks: bool = False
    """Whether each head has a learned score that no position belongs to."""
    expert_bias: bool = False
    """Of the router and of the experts' matrices."""
    sandwich: bool = False
    """Whether attention and MLP are normalized behind as well as in front."""
    wide_norm: bool = False
    """Whether all heads' queries, and all heads' keys, are normalized as one."""
    gelu: bool = False
    """Whether the MLP's gate is a GELU; else a swish."""
    scaled: bool = False
    """Whether embeddings are multiplied by a constant."""
    cap: float = 0.0
    """The most that a score of attention can be: a softcap; 0 without."""
    final_cap: float = 0.0
    """The same of the scores of the vocabulary."""

    def __post_init__(self) -> None:
        """Check that the sizes fit together.

        Raises:
            SizesError: They do not; the message names the size.
        """
        for name in (
            "layers", "hidden", "heads", "kv_heads", "head_size", "vocabulary", "positions",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise SizesError(f"{name} is {getattr(self, name)}", "Give 1 or more")
        if self.layers > MOST_LAYERS:
            raise SizesError(
                f"the number of layers is {quote(self.layers)}, and at most {MOST_LAYERS:,} are built",
                "Give fewer {layers}",
            )
        for entry in fields(self):
            if getattr(self, entry.name) > MAX_INTEGER:
                raise SizesError(
                    f"{entry.name} is {quote(getattr(self, entry.name))}, more than a size can be",
                    f"Give at most {MAX_INTEGER}",
                )
        if self.heads % self.kv_heads:
            raise SizesError(
                f"{plural(self.heads, 'head')} cannot share {plural(self.kv_heads, 'head')} of keys and values",
                "Give a {kv_heads} that divides {heads}",
            )
        if (self.mlp > 0) == (self.experts > 0):
            raise SizesError(
                "it needs an mlp or experts, one of the two", "Give {mlp}=N, or {experts}=N"
            )
        linear = (self.linear_heads, self.linear_key_heads, self.linear_size, self.kernel)
        if any(linear) and (not all(linear) or self.linear_heads % self.linear_key_heads):
            raise SizesError(
                f"linear attention of {plural(self.linear_heads, 'head')} of values, "
                f"{plural(self.linear_key_heads, 'head')} of keys, size {self.linear_size} and kernel {self.kernel}",
                "Give all four: {linear_heads}, a {linear_key_heads} that divides them, {linear_size} and {kernel}",
            )
        if self.experts and not (0 < self.active <= self.experts and self.expert_mlp > 0):
            raise SizesError(
                f"{self.active} of {plural(self.experts, 'expert')} of width {self.expert_mlp}",
                "Give 1 <= {active} <= {experts}, and {expert_mlp}",
            )

    def is_windowed(self, layer: int) -> bool:
        """Return whether a layer, counted from 0, sees a window only."""
        if not self.window:
            return False
        return not (self.full_every and (layer + 1) % self.full_every == 0)

    def is_linear(self, layer: int) -> bool:
        """Return whether the attention of a layer, counted from 0, is linear."""
        if not self.linear_heads:
            return False
        return not (self.full_every and (layer + 1) % self.full_every == 0)

    @property
    def linear_layers(self) -> int:
        """Layers whose attention is linear."""
        return sum(map(self.is_linear, range(self.layers)))

    @property
    def state_elements(self) -> int:
        """Elements of one request's states in all layers."""
        return self.linear_layers * self._linear_attention.state_elements

    @property
    def parameters(self) -> int:
        """Parameters in closed form."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = self.hidden * ((2 + self.gated) * queries + 2 * keys)
        attention += self.qkv_bias * (queries + 2 * keys) + self.output_bias * self.hidden
        attention += self.qk_norm * 2 * self.head_size + self.wide_norm * (queries + keys)
        attention += self.sinks * self.heads
        expert = 3 * self.hidden * self.expert_mlp
        expert += self.expert_bias * (2 * self.expert_mlp + self.hidden)
        router = self.experts * (self.hidden + self.expert_bias)
        shared = (3 * self.shared_mlp + 1) * self.hidden if self.shared_mlp else 0
        block = 3 * self.hidden * self.mlp + self.experts * expert + router + shared
        tables = (1 if self.tied else 2) * self.vocabulary * self.hidden
        norms = (4 if self.sandwich else 2) * self.hidden
        linear = self.linear_layers * self._linear_attention.parameters
        mixers = (self.layers - self.linear_layers) * attention + linear
        return mixers + self.layers * (block + norms) + self.hidden + tables

    @property
    def _linear_attention(self) -> LinearAttention:
        return LinearAttention(
            self.hidden, self.linear_heads, self.linear_key_heads, self.linear_size, self.kernel
        )

    def define(self, net: Builder) -> None:
        """Add the decoder's inputs, operators and outputs to a builder."""
        ids = net.sequence(["sequence_length"], name="input_ids", dtype=net.INT64)
        mask = net.sequence(["total_sequence_length"], name="attention_mask", dtype=net.INT64)
        # What every layer's attention takes: lengths with and without padding, and tables of angles.
        shared = [*lengths(net, mask), *angles(net, self.positions, self.rotary or self.head_size)]
        # A value's shape is its width; batch and position are the open dimensions in front.
        embedding = table(net, "embedding.weight", self.vocabulary, self.hidden)
        x = net.node("Gather", [embedding, ids.name], (self.hidden,), name="embedding", axis=0)
        if self.scaled:
            factor = net.constant("embedding.scale", math.sqrt(self.hidden))
            x = net.node("Mul", [x.name, factor], x.shape, name="embedding_scale")
        for layer in range(self.layers):
            with net.scope(f"layer{layer}"):
                normed = norm(net, x)
                if self.is_linear(layer):
                    mixed = self._linear_attention.define(net, normed, layer)
                else:
                    mixed = self._attention(net, normed, layer, shared)
                x = net.add(x, norm(net, mixed) if self.sandwich else mixed)
                normed = norm(net, x)
                made = self._block(net, normed)
                x = net.add(x, norm(net, made) if self.sandwich else made)
        last = net.node("Slice", [x.name, *last_bounds(net)], (self.hidden,), name="last_position")
        last = norm(net, last)
        if self.tied:
            turned = net.node("Transpose", [embedding], (), name="head.weight", perm=[1, 0])
            scores = net.node("MatMul", [last.name, turned.name], (self.vocabulary,), name="head")
        else:
            scores = net.linear(last, self.vocabulary, bias=False)
        if self.final_cap:
            scores = cap(net, scores, self.final_cap)
        net.output(scores, "logits", shape=(1, self.vocabulary))

    def _attention(self, net: Builder, x: Value, layer: int, shared: list[str]) -> Value:
        query = net.linear(x, self.heads * self.head_size, bias=self.qkv_bias)
        key, value = (
            net.linear(x, self.kv_heads * self.head_size, bias=self.qkv_bias) for _ in range(2)
        )
        if self.qk_norm:
            query = head_norm(net, query, self.heads, self.head_size)
            key = head_norm(net, key, self.kv_heads, self.head_size)
        if self.wide_norm:
            query, key = norm(net, query), norm(net, key)
        cache = (self.kv_heads, "past_sequence_length", self.head_size)
        past = [
            net.sequence(cache, name=f"past_key_values.{layer}.{part}")
            for part in ("key", "value")
        ]
        present = [f"present.{layer}.{part}" for part in ("key", "value")]
        sinks = ["", "", table(net, f"layer{layer}/sinks", self.heads)] if self.sinks else []
        window: dict[str, Any] = {}
        if self.is_windowed(layer):
            window["local_window_size"] = self.window
        if self.cap:
            window["softcap"] = self.cap
        mixed = net.node(
            "GroupQueryAttention",
            [query.name, key.name, value.name, *(entry.name for entry in past), *shared, *sinks],
            query.shape, more=present, domain=_MS, num_heads=self.heads, kv_num_heads=self.kv_heads,
            do_rotary=1, **window,
        )  # fmt: skip
        grown = (self.kv_heads, "total_sequence_length", self.head_size)
        for name in present:
            net.further_output(name, grown)
        if self.gated:
            mixed = net.mul(mixed, net.sigmoid(net.linear(x, query.shape[-1], bias=False)))
        return net.linear(mixed, self.hidden, bias=self.output_bias)

    def _block(self, net: Builder, x: Value) -> Value:
        if not self.experts:
            return self._mlp(net, x, self.mlp)
        made = self._experts(net, x)
        if not self.shared_mlp:
            return made
        share = net.sigmoid(net.linear(x, 1, bias=False))
        return net.add(made, net.mul(self._mlp(net, x, self.shared_mlp), share))

    def _mlp(self, net: Builder, x: Value, width: int) -> Value:
        gate = net.linear(x, width, bias=False)
        gate = net.node("Gelu", [gate.name], gate.shape) if self.gelu else net.swish(gate)
        return net.linear(net.mul(gate, net.linear(x, width, bias=False)), self.hidden, bias=False)

    def _experts(self, net: Builder, x: Value) -> Value:
        """Add a mixture: gate and up side by side in the first matrix of each expert, down in the second."""
        router = net.linear(x, self.experts, bias=self.expert_bias)
        rows = net.vector(f"{router.name}.rows", (-1, self.experts))
        flat = net.node("Reshape", [router.name, rows], router.shape)
        wide = 2 * self.expert_mlp
        sizes = (
            ("gate_up.weight", (self.experts, wide, self.hidden)),
            ("gate_up.bias", (self.experts, wide)),
            ("down.weight", (self.experts, self.hidden, self.expert_mlp)),
            ("down.bias", (self.experts, self.hidden)),
        )
        stored = [
            table(net, f"{flat.name}.{name}", *dims)
            if self.expert_bias or "bias" not in name
            else ""
            for name, dims in sizes
        ]
        return net.node(
            "MoE", [x.name, flat.name, *stored], x.shape, domain=_MS, k=self.active,
            activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1,
        )  # fmt: skip
