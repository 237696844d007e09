"""Where algorithms with fewer multiplications carry a run past its bound, a bound says so."""

from __future__ import annotations

import pytest

import roofline as rl
from roofline.model.fast_convolution import FEWER, note_of, winograd_share


def test_share_of_vgg16_by_hand() -> None:
    # Simonyan and Zisserman, configuration D: thirteen 3x3 convolutions of stride 1, then three dense layers.
    sizes = [
        (3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), (256, 256, 56), (256, 256, 56),
        (256, 512, 28), (512, 512, 28), (512, 512, 28), (512, 512, 14), (512, 512, 14), (512, 512, 14),
    ]  # fmt: skip
    convolutions = sum(9 * read * made * side**2 for read, made, side in sizes)
    dense = 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    share = convolutions / (convolutions + dense)
    assert winograd_share(rl.load("vgg16")) == pytest.approx(share)
    (note,) = note_of(rl.load("vgg16"), "fp32")
    assert "99 % of MACs" in note
    assert f"up to {1 / (1 - share + share / FEWER):.2g} times" in note


@pytest.mark.parametrize(
    ("network", "datatype"),
    [
        ("mobilenet_v1", "fp32"),  # its 3x3 convolutions are depthwise, but for one of stride 2
        ("resnet50", "fp32"),  # 48 % of it
        ("vgg16", "int8"),  # integers would need wider ones
    ],
)
def test_nothing_is_said_where_a_run_hardly_gains(network: str, datatype: str) -> None:
    assert note_of(rl.load(network), datatype) == ()


def test_the_bound_has_the_note_and_estimates_keep_it() -> None:
    machine, network = rl.platform("v100-sxm2-16gb"), rl.load("vgg16")
    for model in ("equation1", "layerwise", "expected"):
        notes = rl.predict(network, machine, datatype="fp32", model=model).notes
        assert sum("Winograd" in note for note in notes) == 1
