"""Models as people ship them: pruned to the masked network's outputs, or refused with the reason."""

from __future__ import annotations

import json
import os
from pathlib import Path

import onnx
import pytest

from roofline.binding import Binding
from roofline.compress.channels import prune
from roofline.compress.tensors import inline_functions
from roofline.errors import CompressionError
from roofline.workload import Workload

from ..collected import rows
from .masking import assert_prunes

pytestmark = pytest.mark.network
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "roofline/real-models"

# Why a model cannot be pruned as a whole; every other one must be.
CONTROL_FLOW = "reach If /.*, which is not in the table of channel couplings"
RANGES = "it quantizes its state by the range of all units"
REFUSED = {
    "silero_vad_16k_op15": CONTROL_FLOW,
    "silero_vad_half": CONTROL_FLOW,
    "silero_vad_op18_ifless": "no channel of this network can be removed: Conv .* are inside If node_cond__1",
    "rawi.int8": RANGES,
    "rawi_v2.int8": RANGES,
    "rawi_v3.int8": RANGES,
    "rawi_ensemble.int8": RANGES,
}
# Probabilities whose logits reach a hundred: rounding them to one part in a million moves the result by this much.
ROUNDING = {"ch_PP-OCRv4_rec_infer": 1e-3}


MODELS = {row["model"]: row for row in rows("real_models") if "/light_" not in row["model"]}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("share", [0.8, 0.5, 0.3])
def test_a_real_model_prunes_or_says_why_not(name: str, share: float) -> None:
    row = MODELS[name]
    path = CACHE / row["sha256"] / Path(name).name
    if not path.exists():
        pytest.skip(f"{path} is not there; tests/oracle/test_real_models.py fetches it")
    model = inline_functions(onnx.load(path))
    shapes = {key: tuple(shape) for key, shape in json.loads(row["input_shapes"]).items()}
    binding = Binding(inputs=shapes, values={"sr": 16000} if "sr" in shapes else {})
    why = REFUSED.get(Path(name).stem)
    if why is not None:
        with pytest.raises(CompressionError, match=why):
            prune(model, share, binding=binding)
        return
    rounding = ROUNDING.get(Path(name).stem, 1e-5)
    plan = assert_prunes(model, share, rounding=rounding, binding=binding)
    assert plan.removed > 0
    pruned = Workload.from_onnx(prune(model, share, binding=binding).model, binding=binding)
    predicted = Workload.from_onnx(model, binding=binding).under(pruning=share)
    assert (pruned.cost, pruned.weight_bytes) == (predicted.cost, predicted.weight_bytes)
