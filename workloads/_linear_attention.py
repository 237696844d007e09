"""Linear attention by the gated delta rule: a convolution over few positions, and a state of fixed size for each head.

As Qwen3-Next and Qwen3.5 have it in three of four layers (Yang et al., Gated Delta Networks, 2025, arXiv:2412.06464).
The operators are those of ONNX Runtime's contrib domain, which exporters write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.workloads._decoder_parts import head_norm, table

if TYPE_CHECKING:
    from roofline.workloads._builder import Builder
    from roofline.workloads._value import Value

_MS = "com.microsoft"


@dataclass(frozen=True, slots=True)
class LinearAttention:
    """The sizes of a layer's linear attention."""

    hidden: int
    """Width between layers."""
    heads: int
    """Of values, each with a state of its own."""
    key_heads: int
    """Of queries and keys."""
    size: int
    """Of a head."""
    kernel: int
    """Positions that the convolution sees."""

    @property
    def _widths(self) -> tuple[int, int]:
        """The width of all keys, and of all values."""
        return self.key_heads * self.size, self.heads * self.size

    @property
    def parameters(self) -> int:
        """Parameters in closed form."""
        keys, values = self._widths
        mixed = 2 * keys + values
        projections = self.hidden * (mixed + values + 2 * self.heads) + values * self.hidden
        return projections + mixed * self.kernel + 2 * self.heads + self.size

    @property
    def state_elements(self) -> int:
        """Elements of a request's states: one for each head, and the last positions of the convolution."""
        keys, values = self._widths
        return self.heads * self.size**2 + max(self.kernel - 1, 0) * (2 * keys + values)

    def define(self, net: Builder, x: Value, layer: int) -> Value:
        """Add it over (positions, hidden), its two states among the inputs and outputs."""
        from roofline.workloads._weights import Draw

        keys, values = self._widths
        heads, size = self.heads, self.size
        mixed = net.linear(x, 2 * keys + values, bias=False)
        gate = net.linear(x, values, bias=False)
        rate, decay = (net.linear(x, heads, bias=False) for _ in range(2))
        seen = _convolve(net, mixed, self.kernel, layer)
        query, key, value = _split(net, seen, (keys, keys, values))
        query, key = (self._spread(net, part) for part in (query, key))
        offset = net.store(f"{decay.name}.offset", (heads,), Draw.OFFSET)
        pace = net.store(f"{decay.name}.pace", (heads,), Draw.OFFSET)
        moved = net.node("Add", [decay.name, offset], (heads,))
        soft = net.node("Softplus", [moved.name], (heads,))
        fading = net.node("Mul", [soft.name, pace], (heads,))
        state = (heads, size, size)
        past = net.sequence(state, name=f"past_key_values.{layer}.recurrent_state")
        present = f"present.{layer}.recurrent_state"
        attended = net.node(
            "LinearAttention",
            [query.name, key.name, value.name, past.name, fading.name, net.sigmoid(rate).name],
            (values,), more=[present], domain=_MS, q_num_heads=heads, kv_num_heads=heads, update_rule="gated_delta",
        )  # fmt: skip
        net.further_output(present, state)
        normed = head_norm(net, attended, heads, size)
        return net.linear(net.mul(normed, net.swish(gate)), self.hidden, bias=False)

    def _spread(self, net: Builder, x: Value) -> Value:
        """Bring each head to length one, and give it to all heads of values that share it."""
        keys, heads, size = self.key_heads, self.heads, self.size
        apart = net.vector(f"{x.name}.apart", (0, 0, keys, 1, size))
        unit = net.node(
            "LpNormalization", [net.node("Reshape", [x.name, apart], (keys, 1, size)).name],
            (keys, 1, size), axis=-1, p=2,
        )  # fmt: skip
        if heads > keys:
            times = net.vector(f"{x.name}.times", (1, 1, 1, heads // keys, 1))
            unit = net.node("Expand", [unit.name, times], (keys, heads // keys, size))
        joined = net.vector(f"{x.name}.joined", (0, 0, heads * size))
        return net.node("Reshape", [unit.name, joined], (heads * size,))


def _convolve(net: Builder, x: Value, kernel: int, layer: int) -> Value:
    """Let each channel see the last positions, the first of them from the state, and swish."""
    (width,) = x.shape
    weight = table(net, f"{x.name}.kernel", width, 1, kernel)
    kept = (kernel - 1, width)
    past = net.sequence(kept, name=f"past_key_values.{layer}.conv_state")
    present = f"present.{layer}.conv_state"
    seen = net.node(
        "CausalConvWithState", [x.name, weight, "", past.name], x.shape, more=[present], domain=_MS,
        activation="silu", channels_last=1,
    )  # fmt: skip
    net.further_output(present, kept)
    return seen


def _split(net: Builder, x: Value, widths: tuple[int, ...]) -> list[Value]:
    """Cut a value into parts that lie side by side."""
    bounds = net.vector(f"{x.name}.widths", widths)
    further = [f"{x.name}.part{place}" for place in range(1, len(widths))]
    first = net.node("Split", [x.name, bounds], widths[:1], more=further, axis=-1)
    return [
        first,
        *(type(x)(name, (width,)) for name, width in zip(further, widths[1:], strict=True)),
    ]
