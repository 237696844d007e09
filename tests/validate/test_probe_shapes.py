"""Probes measure the kinds and shapes that they stand for."""

from __future__ import annotations

import onnx
import pytest

from roofline import Workload
from roofline.model.kinds import works
from roofline.validate.calibration.probes import probes


def layer_works(name: str):
    (probe,) = [entry for entry in probes() if entry.name == name]
    model = onnx.load_model_from_string(probe.build(1))
    workload = Workload.from_onnx(model, name="probe")
    return [
        work for layer in workload.layers if layer.op_type == probe.of and (work := works(layer))
    ]


@pytest.mark.parametrize(("name", "kind", "at"), [
    ("RNN 256-24 x1 over 100", "rnn.rnn.fp32", (256.0, 24.0, 100.0, 1.0)),
    ("LSTM 24-24 x1 over 100", "rnn.lstm.fp32", (24.0, 24.0, 100.0, 1.0)),
    ("Sub short row of 49152", "elementwise.Sub.row", (49152.0, 3.0)),
    ("Div short row of 98304", "elementwise.Div.row", (98304.0, 12.0)),
    ("1-D depthwise 12 11 at 24", "conv.depthwise_unaligned.fp32", (1.0, 12.0, 24.0, 11.0, 1.0)),
])  # fmt: skip
def test_a_probe_measures_the_kind_and_shape_that_it_stands_for(name, kind, at):
    (work,) = layer_works(name)
    assert (work.kind, work.at) == (kind, at)


def test_no_two_probes_have_one_name():
    names = [probe.name for probe in probes()]
    assert len(names) == len(set(names))
