"""What every shipped network must satisfy; a new one is tested without a new test."""

import numpy as np
import onnx
import pytest

from roofline.errors import NetworkError, OptionError
from roofline.workloads import build, networks

LARGE = {
    "vgg16",
    "vgg19",
    "bert_base",
    "vit_b16",
    "resnet152",
    "resnet152_v15",
    "resnet101",
    "resnet101_v15",
}


def keys():
    return [pytest.param(key, marks=pytest.mark.slow) if key in LARGE else key for key in networks]


def floats(model):
    return [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and t.dims]


@pytest.mark.parametrize("key", networks)
def test_weightless_model_declares_tensors_without_payload(key):
    model = build(key)
    assert floats(model)
    assert all(not tensor.raw_data and not tensor.float_data for tensor in floats(model))
    assert model.ByteSize() < 400_000


@pytest.mark.parametrize("key", networks)
def test_batch_is_symbolic_unless_given(key):
    def batches(model):
        values = (*model.graph.input, *model.graph.output)
        return {
            dim.dim_param or dim.dim_value
            for v in values
            for dim in v.type.tensor_type.shape.dim[:1]
        }

    assert batches(build(key)) == {"N"}
    assert batches(build(key, batch=3)) == {3}


@pytest.mark.parametrize("key", networks)
def test_declared_shapes_hold_for_any_batch(key):
    """ONNX's own inference reaches the declared outputs from the inputs, with N kept symbolic."""
    inferred = onnx.shape_inference.infer_shapes(
        build(key), strict_mode=True, check_type=True, data_prop=True
    )
    declared = {v.name: v.type for v in build(key).graph.output}
    assert {v.name: v.type for v in inferred.graph.output} == declared


@pytest.mark.parametrize("key", keys())
def test_random_weights_give_a_valid_model_that_runs_in_range(key):
    """Logits of onnxruntime at batch 2 are finite, differ between items, and are neither vanished nor saturated."""
    onnxruntime = pytest.importorskip("onnxruntime")
    model = build(key, weights="random")
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    feeds = {}
    for entry in session.get_inputs():
        shape = [2, *entry.shape[1:]]
        whole = "int" in entry.type
        feeds[entry.name] = (
            random.integers(0, 2, shape)
            if whole
            else random.standard_normal(shape, dtype=np.float32)
        )
    first = session.run(None, feeds)[0]
    assert np.isfinite(first).all()
    assert 0.1 < first.std() < 10
    assert not np.allclose(first[0], first[1], atol=1e-3)


def test_random_weights_are_reproducible_and_follow_the_seed():
    def weights(seed):
        return floats(build("mlp_12_5", weights="random", seed=seed))[0].raw_data

    assert weights(0) == weights(0)
    assert weights(0) != weights(1)


def test_variances_are_positive():
    model = build("cnv_12_5", weights="random")
    tensors = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) == 8  # six convolutions and two hidden dense layers
    assert all((tensors[node.input[4]] > 0).all() for node in norms)


@pytest.mark.parametrize("key", networks)
def test_node_and_value_names_are_unique(key):
    graph = build(key).graph
    nodes = [node.name for node in graph.node]
    values = [name for node in graph.node for name in node.output] + [
        t.name for t in graph.initializer
    ]
    assert all(nodes)
    assert len(set(nodes)) == len(nodes)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("key", networks)
def test_every_network_says_where_it_comes_from(key):
    entry = networks.get(key)
    assert entry.key == key
    assert entry.title
    assert any(character.isdigit() for character in entry.source)  # a year


def test_caffe_rounding_of_pools():
    """GoogLeNet's pools go 112-56-28-14-7; rounded down they would go 112-55-27-13-6."""
    inferred = onnx.shape_inference.infer_shapes(build("googlenet_v1", batch=1)).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.value_info
    }
    strided = [
        node for node in inferred.node
        if node.op_type == "MaxPool" and list(next(a.ints for a in node.attribute if a.name == "strides")) == [2, 2]
    ]  # fmt: skip
    assert [shapes[node.output[0]][2] for node in strided] == [56, 28, 14, 7]


def test_unknown_name_is_one_error_with_the_nearest_key():
    with pytest.raises(NetworkError, match="Did you mean 'resnet50'"):
        build("resnet5O")


def test_batch_must_be_positive():
    with pytest.raises(OptionError, match="batch 0"):
        build("mlp", batch=0)


def test_unknown_filling_is_an_error():
    with pytest.raises(OptionError, match="zeros"):
        build("mlp", weights="zeros")
