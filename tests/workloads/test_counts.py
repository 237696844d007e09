"""Exact totals against the figures that the papers and the public model collections print."""

import pytest

import roofline
from roofline.workloads import build, networks

# Blott et al. 2021, Table 4, at full precision: giga-operations (two per multiply-accumulate) and weights of
# convolutions and dense layers. ResNet-50, CNV and MLP print the quotient 2 MAC / weights exactly.
QUTIBENCH = {
    "googlenet_v1": (3.165343744, 6_990_272),
    "mobilenet_v1": (1.137480704, 4_209_088),
    "resnet50": (7.715946496, 25_502_912),
    "resnet50_v15": (8.178368512, 25_502_912),
    "efficientnet_edgetpu_s": (3.577464576, 5_387_232),
    "efficientnet_edgetpu_m": (6.026644736, 6_831_968),
    "efficientnet_edgetpu_l": (15.872168768, 10_498_040),
    "cnv": (0.469449728, 6_157_696),
    "cnv_50": (0.118922752, 1_542_848),
    "cnv_25": (0.030510848, 387_424),
    "cnv_12_5": (0.008017792, 97_712),
    "mlp": (0.02002944, 10_014_720),
    "mlp_50": (0.005820416, 2_910_208),
    "mlp_25": (0.001861632, 930_816),
    "mlp_12_5": (0.000668672, 334_336),
}

# Turner et al. 2018: stored weights of convolutions and dense layers.
TURNER = {
    "vgg16_cifar10": 14_977_728,
    "resnet18_cifar10": 11_164_352,
    "mobilenet_v1_cifar10": 3_195_328,
}

# torchvision's model pages (num_params), pytorch-cifar for the CIFAR ports, the hub's card for BERT.
PARAMETERS = {
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "efficientnet_b0": 5_288_548,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "resnet101_v15": 44_549_160,
    "resnet152_v15": 60_192_808,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50_v15": 25_557_032,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vit_b16": 86_567_656,
    "resnet18_cifar10": 11_173_962,
    "mobilenet_v1_cifar10": 3_217_226,
    "mobilenet_v2_cifar10": 2_296_922,
    "bert_base": 109_482_240,
}

# torchvision's model pages (GFLOPS, where one multiply-accumulate is one), as printed.
GIGA_MACS = {
    "densenet121": 2.83,
    "densenet161": 7.73,
    "efficientnet_b0": 0.39,
    "mobilenet_v2": 0.3,
    "mobilenet_v3_large": 0.22,
    "mobilenet_v3_small": 0.06,
    "resnet101_v15": 7.8,
    "resnet152_v15": 11.51,
    "resnet18": 1.81,
    "resnet34": 3.66,
    "resnet50_v15": 4.09,
    "vgg16": 15.47,
    "vgg19": 19.63,
    "vit_b16": 17.56,
}


@pytest.mark.parametrize("key", QUTIBENCH)
def test_operations_and_weights_are_those_behind_table_4(key, count):
    gop, weights = QUTIBENCH[key]
    found = count(build(key, batch=1))
    assert 2 * found.macs == round(gop * 1e9)
    assert found.weights == weights


@pytest.mark.parametrize("key", TURNER)
def test_weights_of_the_cifar_networks_are_turners(key, count):
    assert count(build(key, batch=1)).weights == TURNER[key]


@pytest.mark.parametrize("key", PARAMETERS)
def test_trainable_parameters_are_those_of_the_public_collections(key, count):
    assert count(build(key, batch=1)).trainable == PARAMETERS[key]


@pytest.mark.parametrize("key", GIGA_MACS)
def test_multiply_accumulates_round_to_the_printed_ones(key, count):
    digits = len(str(GIGA_MACS[key]).partition(".")[2])
    assert round(count(build(key, batch=1)).macs / 1e9, digits) == GIGA_MACS[key]


def test_every_network_is_held_to_a_published_count(count):
    relatives = {
        "resnet101",
        "resnet152",
    }  # v1 of networks whose v1.5 is checked: weights equal, strides moved
    assert set(networks) <= {*QUTIBENCH, *TURNER, *PARAMETERS, *relatives}
    for key in relatives:
        ours, other = (count(build(name, batch=1)) for name in (key, f"{key}_v15"))
        assert ours.weights == other.weights
        assert ours.macs < other.macs


@pytest.mark.parametrize("key", networks)
def test_the_counter_and_onnx_shape_inference_agree(key, count):
    expected = count(build(key, batch=1))
    workload = roofline.load(key)
    assert workload.macs == expected.macs
    assert workload.parameters == expected.parameters
    assert workload.trainable_parameters == expected.trainable
    assert not workload.unknown_layers


@pytest.mark.parametrize("key", networks)
def test_work_grows_with_the_batch_and_weights_do_not(key):
    one, eight = roofline.load(key), roofline.load(key, batch=8)
    assert eight.macs == 8 * one.macs
    assert eight.weight_bytes == one.weight_bytes
