"""Networks as Brevitas writes them and QONNX's own passes rewrite them, against QONNX's own cost analysis."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from roofline.workload import Workload
from roofline.workloads import networks

pytest.importorskip("brevitas", reason="brevitas writes the networks (the extra `exporters`)")
pytest.importorskip("qonnx", reason="qonnx rewrites and counts them (the extra `exporters`)")
torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SHAPES = dict.fromkeys(("cnv", "resnet18"), (1, 3, 32, 32)) | dict.fromkeys(
    ("tfc", "sfc", "lfc"), (1, 1, 28, 28)
)
PUBLISHED = {
    "cnv_1w1a": (59_461_376, 1_542_848), "cnv_2w2a": (59_461_376, 1_542_848), "cnv_1w2a": (59_461_376, 1_542_848),
    "tfc_1w1a": (59_008, 59_008), "tfc_2w2a": (59_008, 59_008), "sfc_1w1a": (334_336, 334_336),
    "lfc_1w1a": (2_910_208, 2_910_208),
}  # fmt: skip
"""MACs and weights: fastmachinelearning/qonnx's model zoo for CNV (1,555,200 MACs of 8 bits, 57,906,176 of the others);
784 x n + 2 n^2 + 10 n for MLPs of n = 64, 256 and 1,024 neurons."""
PEAKS = {1: "binary", 2: "int2", 4: "int4", 8: "int8", 32: "fp32"}


def exported(name: str, folder: Path) -> Path:
    """Return one of Brevitas' own example networks as QONNX, untrained."""
    from brevitas.export import export_qonnx
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    torch.manual_seed(0)
    path = folder / f"{name}.onnx"
    if not path.exists():
        model, _ = model_with_cfg(name, pretrained=False)
        given = torch.rand(SHAPES[name.partition("_")[0]])
        export_qonnx(model.eval(), args=given, export_path=str(path), opset_version=13, dynamo=False)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("brevitas")


def by_peak(workload: Workload) -> dict[str, int]:
    found: Counter[str] = Counter()
    for layer in workload.layers:
        if layer.cost.macs:
            found[layer.datatype or ""] += layer.cost.macs
    return dict(found)


def theirs(path: Path) -> tuple[dict[str, int], int, int]:
    """Return QONNX's own MACs by peak, weights and weight bits."""
    from qonnx.core.datatype import DataType
    from qonnx.util.inference_cost import inference_cost

    cost = inference_cost(str(path), discount_sparsity=False)["total_cost"]
    found: Counter[str] = Counter()
    for key, macs in cost.items():
        if key.startswith("op_mac_"):
            widths = [DataType[name].bitwidth() for name in key.split("_")[2:]]
            found[PEAKS[max(widths)]] += int(macs)
    return dict(found), int(cost["total_mem_w_elems"]), int(cost["total_mem_w_bits"])


@pytest.mark.parametrize("name", [*PUBLISHED, "resnet18_4w4a"])
def test_exported_networks_count_as_qonnx_counts_them(name: str, folder: Path) -> None:
    path = exported(name, folder)
    counted = Workload.from_onnx(path)
    macs, weights, bits = theirs(path)
    assert counted.fully_counted
    if name == "resnet18_4w4a":
        # QONNX takes what Trunc gives for floats; the classifier behind it multiplies its 4 bits by weights of 8.
        classifier = 512 * 10
        macs = {**macs, "fp32": macs["fp32"] - classifier, "int8": classifier}
    assert by_peak(counted) == macs
    multiplied = [
        tensor for layer in counted.layers if layer.cost.macs for tensor in layer.weights
        if tensor.dtype is not None and tensor.dtype.kind != "float" and len(tensor.shape or ()) > 1
    ]  # fmt: skip
    assert sum(tensor.elements or 0 for tensor in multiplied) == weights
    assert (
        sum((tensor.elements or 0) * tensor.dtype.bits for tensor in multiplied if tensor.dtype)
        == bits
    )
    if name in PUBLISHED:
        assert (counted.macs, weights) == PUBLISHED[name]
    else:
        assert counted.macs == Workload.from_onnx(networks.get("resnet18_cifar10").build()).macs


@pytest.mark.parametrize("name", ["cnv_1w1a", "cnv_2w2a"])
def test_passes_of_qonnx_change_no_count(name: str, folder: Path) -> None:
    """Channels moved to the end, quantized weights folded into annotated floats, convolutions laid out as products."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.fold_constants import FoldConstants
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
    from qonnx.util.cleanup import cleanup_model

    plain = Workload.from_onnx(exported(name, folder))
    clean = cleanup_model(ModelWrapper(str(exported(name, folder))))
    last = clean.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
    folded = clean.transform(InferDataTypes()).transform(FoldConstants(exclude_op_types=[]))
    folded = folded.transform(InferDataTypes())
    lowered = folded.transform(LowerConvsToMatMul()).transform(InferShapes())
    lowered = lowered.transform(InferDataTypes())
    for label, model in {"last": last, "folded": folded, "lowered": lowered}.items():
        model.save(str(folder / f"{label}.onnx"))
        counted = Workload.from_onnx(folder / f"{label}.onnx")
        assert counted.fully_counted, label
        assert by_peak(counted) == by_peak(plain), label
        assert counted.parameters == plain.parameters, label
        assert counted.weight_bytes == plain.weight_bytes, label
