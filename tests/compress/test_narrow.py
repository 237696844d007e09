"""Ternary weights and narrow activations: written files compute, in ONNX Runtime, what numpy computes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.compress import Quantization, Request, compress
from roofline.compress.writers._registry import WriteOptions, quantize
from roofline.compress.writers.ternary import ternary
from roofline.errors import CompressionError
from roofline.workloads import build

DEPTH, WIDTH, ITEMS = 24, 10, 6
X = np.random.default_rng(3).standard_normal((ITEMS, DEPTH)).astype(np.float32)
W = np.random.default_rng(4).standard_normal((DEPTH, WIDTH)).astype(np.float32)


def product(operator: str = "MatMul", weights: np.ndarray = W) -> onnx.ModelProto:
    nodes = [helper.make_node(operator, ["x", "w"], ["y"], "product")]
    made = helper.make_graph(
        nodes, "product", [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [ITEMS, weights.shape[1]])],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, *, optimize: bool = True, **feed: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    )
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(model.SerializeToString(), options, providers=providers)
    return session.run(None, feed)[0]


def rounded(array: np.ndarray, top: int, *, least: int) -> np.ndarray:
    """Return the nearest multiples of the step that brings the largest magnitude to the top."""
    step = np.float32(np.abs(array).max() / top)
    return np.clip(np.rint(array / step), least, top) * step


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    ("name", "weight_bits", "bits"),
    [("w4a8", 4, 8), ("w2a8", 2, 8), ("int4", 4, 4), ("w4a4", 4, 4), ("w2a4", 2, 4), ("int2", 2, 2)],
)  # fmt: skip
def test_integers_compute_what_numpy_does(
    name: str, weight_bits: int, bits: int, operator: str, *, positive: bool, optimize: bool
) -> None:
    x = np.abs(X) if positive else X
    model = product(operator)
    options = WriteOptions(calibration={"x": x})
    done = compress(model, Request(quantization=Quantization(name), options=options))
    assert done.agrees
    assert done.counted.weight_bytes == -(-W.size * weight_bits // 8)
    # Activations that are never negative have no sign, and so twice the steps.
    top = 2**bits - 1 if positive else 2 ** (bits - 1) - 1
    narrow = rounded(x, top, least=0 if positive else -top - 1)
    weights = rounded(W, 2 ** (weight_bits - 1) - 1, least=-(2 ** (weight_bits - 1)))
    expected = narrow @ weights
    tolerance = 1e-5 * np.abs(expected).max()
    result = run(done.model, optimize=optimize, x=x)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
@pytest.mark.parametrize("width", [WIDTH, 16])
@pytest.mark.parametrize(("name", "bits"), [("w2a32", 2), ("w4a32", 4), ("w8a16", 8)])
def test_weights_alone_compute_what_numpy_does(
    name: str, bits: int, width: int, operator: str, *, optimize: bool
) -> None:
    weights = np.random.default_rng(5).standard_normal((DEPTH, width)).astype(np.float32)
    top = 2 ** (bits - 1) - 1
    expected = X @ rounded(weights, top, least=-top)
    result = run(quantize(product(operator, weights), Quantization(name)), optimize=optimize, x=X)
    # Behind 8- and 4-bit weights ONNX Runtime rounds the activations of a product to 8 bits.
    share = 0.02 if bits > 2 and optimize else 1e-5
    np.testing.assert_allclose(result, expected, rtol=0, atol=share * np.abs(expected).max())


@pytest.mark.parametrize("optimize", [False, True])
def test_fp8_computes_what_ml_dtypes_does(*, optimize: bool) -> None:
    def narrow(array: np.ndarray) -> np.ndarray:
        step = np.float32(np.abs(array).max() / 448)
        return (array / step).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * step

    options = WriteOptions(calibration={"x": X})
    done = compress(product(), Request(quantization=Quantization("fp8"), options=options))
    assert done.agrees
    assert done.counted.weight_bytes == W.size
    expected = narrow(X) @ narrow(W)
    result = run(done.model, optimize=optimize, x=X)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["fp8", "int4"])
def test_values_beyond_the_calibrated_range_saturate(name: str) -> None:
    done = quantize(product(), Quantization(name), WriteOptions(calibration={"x": X}))
    largest = np.full_like(X, np.abs(X).max())
    np.testing.assert_array_equal(run(done, x=100 * largest), run(done, x=largest))


@pytest.mark.parametrize("name", ["int4", "w4a8", "fp8", "ternary"])
@pytest.mark.parametrize("key", ["cnv_25", "mobilenet_v2_cifar10"])
def test_optimizing_a_narrow_network_changes_nothing(key: str, name: str) -> None:
    # Poolings, reshapes and depthwise layers between the products: what a runtime moves and fuses.
    written = quantize(build(key, weights="random"), Quantization(name))
    feed = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    exact, fast = (run(written, optimize=on, input=feed) for on in (False, True))
    np.testing.assert_allclose(fast, exact, rtol=0, atol=1e-5 * np.abs(exact).max())


def test_layers_named_keep_their_activations() -> None:
    written = quantize(product(), Quantization("int4", layers={"product": "fp32"}))
    np.testing.assert_allclose(run(written, x=X), X @ W, rtol=1e-5, atol=1e-5)


def test_recurrent_activations_are_refused_by_name() -> None:
    chance = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(chance.standard_normal((1, 16, 4)).astype(np.float32), name)
        for name in ("w", "r")
    ]
    made = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r"], ["y"], "memory", hidden_size=4)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 1, 1, 4])], stored,
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(CompressionError, match="activations of LSTM memory cannot be quantized"):
        quantize(model, Quantization("w4a8"))


def reference(array: np.ndarray, threshold: float) -> np.ndarray:
    """Return ternary weights, weight by weight, as Zhu et al. 2017 define them (section 3.1)."""
    limit = threshold * max(abs(float(w)) for w in array.flat)
    up = [float(w) for w in array.flat if w > limit]
    down = [-float(w) for w in array.flat if w < -limit]
    wp = sum(up) / len(up) if up else 0.0
    wn = sum(down) / len(down) if down else 0.0
    values = [wp if w > limit else -wn if w < -limit else 0.0 for w in array.flat]
    return np.array(values, np.float32).reshape(array.shape)


SKEWED = np.where(W > 0, 3 * W, W).astype(np.float32)


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize(
    "weights",
    [W, SKEWED, np.abs(W), -np.abs(W), np.zeros_like(W)],
    ids=["even", "skewed", "positive", "negative", "zero"],
)
@pytest.mark.parametrize("threshold", [0.05, 0.4])
def test_ternary_weights_are_those_of_the_paper(
    weights: np.ndarray, threshold: float, *, optimize: bool
) -> None:
    options = WriteOptions(threshold=threshold)
    request = Request(quantization=Quantization("ternary"), options=options)
    done = compress(product(weights=weights), request)
    exact = reference(weights, threshold)
    assert len(np.unique(exact)) <= 3
    np.testing.assert_allclose(ternary(weights, threshold).values, exact, rtol=1e-6)
    # What a runtime really computes with: the product with the unit matrix is the weights.
    unit = np.zeros((ITEMS, DEPTH), np.float32)
    unit[:, :ITEMS] = np.eye(ITEMS)
    shown = run(done.model, optimize=optimize, x=unit)
    np.testing.assert_allclose(shown, exact[:ITEMS], rtol=1e-6, atol=1e-7)
    assert done.agrees
    assert done.counted.weight_bytes == W.size * 2 // 8
    assert done.counted.macs == ITEMS * W.size
    assert done.counted.effective_macs == ITEMS * np.count_nonzero(exact)
    assert done.zero_share == (W.size - np.count_nonzero(exact)) / W.size


@pytest.mark.parametrize("threshold", [-0.1, 1, 5])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(CompressionError, match=r"outside \[0, 1\)"):
        WriteOptions(threshold=threshold)
