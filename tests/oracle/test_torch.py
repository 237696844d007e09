"""Networks built with torch, exported, and counted: beside fvcore and torch's own counter, every difference explained.

fvcore 0.1.5 calls one multiply-accumulate one "flop" and adds batch normalization; it knows neither attention nor LSTM.
torch.utils.flop_counter counts two operations to a multiply-accumulate, of products and convolutions only, and sees
neither attention nor LSTM on a CPU.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from roofline.workload import Workload

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
nn = torch.nn


def residual_network() -> tuple[Any, tuple[Any, ...]]:
    class Block(nn.Module):
        def __init__(self, wide_in: int, wide: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(wide_in, wide, 3, stride, 1, bias=False)
            self.norm = nn.BatchNorm2d(wide)
            self.second = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(wide)
            self.short = (
                nn.Conv2d(wide_in, wide, 1, stride, bias=False) if stride > 1 else nn.Identity()
            )

        def forward(self, x: Any) -> Any:
            inner = torch.relu(self.norm(self.first(x)))
            return torch.relu(self.norm2(self.second(inner)) + self.short(x))

    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]
    return nn.Sequential(*stem, Block(16, 16, 1), Block(16, 32, 2), *head), (
        torch.zeros(2, 3, 32, 32),
    )


def mobile_network() -> tuple[Any, tuple[Any, ...]]:
    def inverted(wide_in: int, wide: int, expand: int, stride: int) -> list[Any]:
        hidden = wide_in * expand
        return [
            nn.Conv2d(wide_in, hidden, 1), nn.Hardswish(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden), nn.ReLU6(), nn.Conv2d(hidden, wide, 1),
        ]  # fmt: skip

    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), *inverted(8, 16, 4, 2), *inverted(16, 24, 6, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10)), (
        torch.zeros(1, 3, 48, 48),
    )


def transformer_block() -> tuple[Any, tuple[Any, ...]]:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.norm2 = nn.LayerNorm(WIDE), nn.LayerNorm(WIDE)
            self.qkv, self.out = nn.Linear(WIDE, 3 * WIDE), nn.Linear(WIDE, WIDE)
            self.mlp = nn.Sequential(
                nn.Linear(WIDE, 4 * WIDE), nn.GELU(), nn.Linear(4 * WIDE, WIDE)
            )

        def forward(self, x: Any) -> Any:
            q, k, v = (
                self.qkv(self.norm(x))
                .reshape(1, TOKENS, 3, HEADS, WIDE // HEADS)
                .permute(2, 0, 3, 1, 4)
            )
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
            x = x + self.out(mixed.transpose(1, 2).reshape(1, TOKENS, WIDE))
            return x + self.mlp(self.norm2(x))

    return Attention(), (torch.zeros(1, TOKENS, WIDE),)


def recurrent_network() -> tuple[Any, tuple[Any, ...]]:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(24, 32, bidirectional=True), nn.Linear(64, 5)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(x)[0])

    return Recurrent(), (torch.zeros(20, 1, 24),)


WIDE, HEADS, TOKENS = 64, 4, 50
SCORES = 2 * HEADS * TOKENS * TOKENS * (WIDE // HEADS)
"""Products of queries with keys, and of weights with values."""
LSTM = 2 * 20 * 4 * 32 * (24 + 32)
"""Two directions, twenty steps, four gates of 32 units on 24 inputs and 32 states."""

NETWORKS = {
    "residual": (residual_network, "conv"),
    "mobile": (mobile_network, "conv"),
    "transformer": (transformer_block, "attention"),
    "recurrent": (recurrent_network, "lstm"),
}
UNSEEN = {"conv": 0, "attention": SCORES, "lstm": LSTM}
"""What neither of the two tools counts."""
WRITTEN_DOWN = {"conv": 0, "attention": 1, "lstm": 2 * 1 * 32}
"""What the exporter stores besides: attention's scale as a vector of one, and the zero state of both directions."""


def randomize(module: Any) -> None:
    """Give every stored tensor values of its own: exporters store equal ones (all ones, all zeros) once."""
    module.eval()
    with torch.no_grad():
        for stored in (*module.parameters(), *module.buffers()):
            if stored.dim():
                stored.uniform_(0.5, 1.5)


@pytest.fixture(scope="module", params=NETWORKS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    build, kind = NETWORKS[request.param]
    torch.manual_seed(0)
    module, inputs = build()
    randomize(module)
    path = tmp_path_factory.mktemp("torch") / f"{request.param}.onnx"
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The exporter that needs no tracing packages; it writes the batch of the example.
        torch.onnx.export(
            module,
            inputs,
            path,
            dynamo=False,
            opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    logging.disable(logging.NOTSET)
    return module, inputs, kind, Workload.from_onnx(path)


def test_parameters_are_those_of_the_module(case: Any) -> None:
    module, _, kind, workload = case
    stored = sum(parameter.numel() for parameter in module.parameters())
    statistics = sum(buffer.numel() for buffer in module.buffers() if buffer.dim())
    assert workload.trainable_parameters == stored + WRITTEN_DOWN[kind]
    assert workload.parameters == stored + WRITTEN_DOWN[kind] + statistics


def test_torchs_own_counter(case: Any) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    module, inputs, kind, workload = case
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(*inputs)
    # Two operations to a multiply-accumulate; attention and LSTM are not seen on a CPU.
    assert 2 * (workload.macs - UNSEEN[kind]) == counter.get_total_flops()


def test_fvcore(case: Any) -> None:
    fvcore = pytest.importorskip("fvcore.nn")
    module, inputs, kind, workload = case
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counts: Counter[str] = fvcore.FlopCountAnalysis(module, inputs).by_operator()
    logging.disable(logging.NOTSET)
    # fvcore's "flop" is a multiply-accumulate; normalization and pooling are added to it, attention and LSTM are not.
    extras = {"batch_norm", "layer_norm", "adaptive_avg_pool2d"}
    assert set(counts) <= {"conv", "linear", "matmul", *extras}
    products = sum(count for name, count in counts.items() if name not in extras)
    assert products == workload.macs - UNSEEN[kind]


def test_the_fused_view_keeps_the_products(case: Any) -> None:
    _, _, kind, workload = case
    assert sum(layer.cost.macs for layer in workload.fused_layers) == workload.macs
    expected = {"conv": "activation", "attention": "attention", "lstm": "bias"}[kind]
    assert workload.fusions[expected] >= 1


def test_a_default_export_counts_the_same(tmp_path: Path) -> None:
    """The newer exporter writes other operators and functions for the same network."""
    pytest.importorskip("onnxscript")
    module, inputs = transformer_block()
    randomize(module)
    path = tmp_path / "dynamo.onnx"
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, path, dynamo=True, verbose=False)
    logging.disable(logging.NOTSET)
    workload = Workload.from_onnx(path)
    linear = TOKENS * (3 + 1 + 4 + 4) * WIDE * WIDE
    assert workload.macs == linear + SCORES
    stored = sum(parameter.numel() for parameter in module.parameters())
    assert workload.parameters == stored + WRITTEN_DOWN["attention"]
