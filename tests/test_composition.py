"""What networks are made of beyond their counts, and how far a machine's runs tell of their kinds of layers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roofline import load, platform
from roofline.model._composition import beyond_counts, composition, told_of_counts
from roofline.model._layer_groups import LayerCounts, gather_alike, group_layers, groups_of
from roofline.model._layer_law import ARITHMETIC, LayerLaw, kinds_of
from roofline.model._network_facts import facts_of

LAYERS = (
    LayerCounts("conv", 60.0, 10, 5, 9, 64, 3),
    LayerCounts("product", 20.0, 10, 5, 9, 64, 1),
    LayerCounts("other", 0.0, 10, 5, 0, 64, 40),
)
COUNTS = {
    name: np.asarray([value])
    for name, value in (
        ("macs", 4e9), ("activations", 1e7), ("parameters", 2.5e7), ("depthwise", 0.0), ("grouped", 0.0),
        ("attention", 0.0),
    )
}  # fmt: skip


def test_shares_are_of_multiply_accumulates_and_calls_of_layers_that_multiply() -> None:
    groups = groups_of([group_layers(gather_alike(LAYERS))])
    ((products, windows, calls),) = composition(groups)
    assert (products, windows) == pytest.approx((20 / 200, 180 / 200))
    assert calls == pytest.approx(math.log(3 + 1))


def test_what_is_not_known_is_as_counts_let_one_expect() -> None:
    assert beyond_counts(None, COUNTS).tolist() == [[0.0, 0.0, 0.0]]
    assert beyond_counts(groups_of([None]), COUNTS).tolist() == [[0.0, 0.0, 0.0]]
    (told,) = told_of_counts(COUNTS)
    # 4 GMAC are twice the network that the constants stand for.
    assert told[:5] == pytest.approx([1.0, 0.0, 0.0, 0.0, math.log(2)])


def test_a_transformer_has_products_beyond_a_convolutional_network() -> None:
    found = {
        name: beyond_counts(groups.layers, groups.numbers)[0]
        for name in ("vgg16", "bert_base")
        for groups in [
            facts_of(
                load(name), platform("t4"), machine_class="gpu_dc", runtime="trt", datatype="fp16", unit="fp16",
                batch=1, cores=1.0, in_flight=False,
            )
        ]
    }  # fmt: skip
    assert found["bert_base"][0] > found["vgg16"][0]
    assert found["bert_base"][1] < 0 < found["vgg16"][1]


def test_runs_of_other_kinds_of_layers_do_not_cover_a_network() -> None:
    facts = facts_of(
        load("bert_base"), platform("t4"), machine_class="gpu_dc", runtime="trt", datatype="fp16", unit="fp16",
        batch=1, cores=1.0, in_flight=False,
    )  # fmt: skip
    assert facts.layers is not None
    kinds = kinds_of(facts.layers)[0]
    assert kinds.sum() == pytest.approx(1.0)
    convolutions = np.where(np.isin(ARITHMETIC, ["conv", "conv1"]), 30.0, 0.0)
    everything = np.full(len(ARITHMETIC), 3.0)
    covered = [
        LayerLaw(seen={"t4/trt": seen}).coverage(facts)[0] for seen in (convolutions, everything)
    ]
    # Three whole networks of a kind tell three quarters of it.
    assert covered == pytest.approx([0.0, 0.75])
    assert LayerLaw().coverage(facts)[0] == 0
