"""What every shipped machine must satisfy; a new file is tested without a new test."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from roofline.spec import (
    Alias,
    Quantity,
    Specification,
    find_alias,
    from_mapping,
    load,
    platform,
    platform_files,
    platform_keys,
)
from roofline.spec.aliases import aliases
from roofline.spec.audit import census, default_quantities, doubts, has_sources
from roofline.spec.consistency import quantities
from roofline.spec.markdown import popular_machines, refresh
from roofline.spec.reading import parse
from roofline.spec.writing import as_yaml, json_schema

ROOT = Path(__file__).parents[2]
FILES = platform_files()
KEYS = platform_keys()

PAPERS = {
    "zcu102-dpu", "zcu104-dpu", "ultra96-dpu", "zcu104-finn", "zcu104-bismo", "tx2:maxn", "tx2:maxp", "tx2:maxq",
    "edgetpu:fast", "edgetpu:slow", "ncs", "ultra96-a53", "hikey970-cpu", "hikey970-gpu", "agx-xavier:maxn",
    "odroid-xu4-cpu", "odroid-xu4-gpu", "i7-3820",
}  # fmt: skip
BUYERS = {
    "a100-sxm-40gb", "a100-sxm-80gb", "a100-pcie-80gb", "h100-sxm", "h100-pcie", "h200-sxm", "l4", "t4", "rtx-4090",
    "agx-orin:maxn", "orin-nano:super", "rpi5", "epyc-9654", "hailo-8", "apple-m1", "apple-m4-max",
}  # fmt: skip

# Datatypes from wide to narrow within a family: a narrower one is never slower.
FAMILIES = (
    ("fp64", "fp32", "tf32", "fp16", "fp8", "fp4"),
    ("fp64", "fp32", "tf32", "bf16", "fp8", "fp4"),
    ("int32", "int16", "int8", "int4", "int2", "binary"),
)
# What is slower all the same, and why.
SLOWER: dict[tuple[str, str, str], str] = {}


def spec_of(key: str) -> Specification:
    return load(FILES[key])


def base(value: str, unit: str) -> float:
    return (
        float(value.replace(",", ""))
        * {"MHz": 1e6, "GHz": 1e9, "TOP/s": 1e12, "GOP/s": 1e9, "POP/s": 1e15}[unit]
    )


def test_the_machines_of_the_papers_and_of_today_are_shipped() -> None:
    assert set(KEYS) >= PAPERS | BUYERS
    assert len(FILES) >= 150


def test_150_machines_have_a_sourced_peak_and_bandwidth() -> None:
    counted = census([spec_of(key) for key in FILES])
    assert counted.sourced >= 150
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{counted.sourced} of {counted.machines} machines" in readme
    assert f"{counted.share('estimated'):.0%} of their numbers are estimates" in readme


@pytest.mark.parametrize("key", FILES)
def test_a_file_is_named_after_its_key_and_is_utf8_without_tabs(key: str) -> None:
    assert spec_of(key).key == key
    text = FILES[key].read_text(encoding="utf-8")
    assert "\t" not in text
    assert text.endswith("\n")


@pytest.mark.parametrize("key", FILES)
def test_a_file_says_who_what_and_how_much(key: str) -> None:
    spec = spec_of(key)
    assert spec.description
    if has_sources(spec):
        outer = (spec.memories or next(iter(spec.modes.values())).memories)[0]
        assert outer.capacity or "host" in outer.name
    assert list(doubts(spec)) == []


@pytest.mark.parametrize("key", FILES)
def test_every_number_has_a_source_and_guesses_say_so(key: str) -> None:
    spec = spec_of(key)
    found = list(quantities(spec))
    assert found
    for path, quantity in found:
        source = spec.sources[quantity.source]
        if source.url is None:
            assert quantity.kind == "estimated", path
        if quantity.kind == "estimated":
            assert source.url is None, f"{path} is a guess and names a document"


def test_a_price_is_of_the_memory_that_the_file_states() -> None:
    prices = {
        key: spec.price
        for key in FILES
        if (spec := spec_of(key)).price and "GB" in (spec.price.note or "")
    }
    assert "rpi4" in prices
    for key, price in prices.items():
        stated = re.search(r"(\d+) GB", price.note or "")
        capacity = platform(key).capacity
        assert stated, key
        assert capacity is None or capacity == float(stated[1]) * 1e9, key


def test_a_mac_has_no_price_of_a_smaller_memory() -> None:
    macs = [spec for key in FILES if (spec := spec_of(key)).vendor == "Apple" and spec.price]
    assert all("GB" in (spec.price.note or "") for spec in macs if spec.price)


@pytest.mark.parametrize("key", FILES)
def test_a_thermal_design_power_is_the_most_and_of_the_whole_product(key: str) -> None:
    tdp = spec_of(key).power.tdp
    said = (tdp.note or "").lower() if tdp else ""
    assert not said.startswith(("typical", "half of", "of both"))
    assert "configuration" not in said


def test_cdna_2_has_no_tf32() -> None:
    for key in ("mi100", "mi210", "mi250", "mi250x", "mi250-gcd"):
        assert "tf32" in spec_of(key).absent
    assert platform("mi250x").peak("fp32", alternative="matrix") == 95.7e12


@pytest.mark.parametrize("key", FILES)
def test_it_validates_against_the_json_schema(key: str) -> None:
    content = yaml.safe_load(FILES[key].read_text())
    jsonschema.Draft202012Validator(json_schema()).validate(content)


@pytest.mark.parametrize("key", FILES)
def test_it_reads_back_equal_when_written(key: str) -> None:
    spec = spec_of(key)
    assert from_mapping(parse(as_yaml(spec), key).content) == spec


@pytest.mark.parametrize("key", KEYS)
def test_ridge_points_are_plausible(key: str) -> None:
    machine = platform(key)
    for name in set(machine.datatypes) - {"fp64"}:  # accelerators keep next to none of it
        # The SRAM of a microcontroller gives a word for each product of its core.
        assert 0.2 <= machine.ridge(name) <= 20_000, f"{name}: {machine.ridge(name)} OP/B"


@pytest.mark.parametrize("key", KEYS)
def test_a_narrower_datatype_is_never_slower(key: str) -> None:
    machine = platform(key)
    for family in FAMILIES:
        held = [name for name in family if machine.has(name)]
        for wide, narrow in itertools.pairwise(held):
            if (key, wide, narrow) not in SLOWER:
                # Sources round the same rate apart.
                assert machine.peak(narrow) >= 0.995 * machine.peak(wide), (
                    f"{narrow} is slower than {wide}"
                )


@pytest.mark.parametrize("key", KEYS)
def test_sparse_peaks_are_twice_the_dense_ones(key: str) -> None:
    for name, peak in platform(key).peaks.items():
        if peak.sparse is not None:
            assert peak.sparse.base == pytest.approx(2 * peak.base, rel=0.02), name


FACTORS = re.compile(
    r"\b(\d+) [^;]*?x (?:(\d+) pipes x )?(\d+) OP/cycle[^;]*? x ([\d.]+) (MHz|GHz)"
)
SHARE = re.compile(r"(Half of|Twice) the ([\d.]+) (TOP/s)")
CLOCKED = re.compile(r"^([\d.]+) MHz, (\d+) transfers a cycle")
TRANSFERS = re.compile(
    r"(?:(\d+) channels x )?(?:Effective )?(\d+) (MT/s|GT/s|MHz)"
    r"(?: x (2))?(?: x (\d+) lanes)? x (\d+)( B|/(\d+))"
)


@pytest.mark.parametrize("key", FILES)
def test_the_arithmetic_in_the_notes_gives_the_numbers(key: str) -> None:
    for path, quantity in quantities(spec_of(key)):
        expected = arithmetic(quantity)
        if expected is not None:
            assert quantity.base == pytest.approx(expected, rel=0.01), f"{path}: {quantity.note}"


def arithmetic(quantity: Quantity) -> float | None:
    note = quantity.note or ""
    # Processors with two kinds of cores have a product of each.
    if products := FACTORS.findall(note.partition(";")[0]):
        return sum(
            int(count) * int(pipes or 1) * int(per_cycle) * base(clock, unit)
            for count, pipes, per_cycle, clock, unit in products
        )
    if quantity.kind == "derived" and (found := SHARE.search(note)):
        return base(found[2], found[3]) * (0.5 if found[1] == "Half of" else 2)
    if found := CLOCKED.search(note):
        return float(found[1]) * 1e6 * int(found[2])
    if found := TRANSFERS.search(note):
        channels, rate, unit, double, lanes, last, byte, coded = found.groups()
        transfers = (
            float(rate) * (1e9 if unit == "GT/s" else 1e6) * int(double or 1) * int(channels or 1)
        )
        return (
            transfers * int(last)
            if byte == " B"
            else transfers * int(lanes) * int(last) / int(coded) / 8
        )
    return None


@pytest.mark.parametrize("key", FILES)
def test_ampere_and_ada_cards_without_double_precision_cores_do_a_64th_of_fp32(key: str) -> None:
    specification = spec_of(key)
    without = ("ampere-ga10x", "rtx-30", "rtx-40", "rtx-ampere", "rtx-ada", "ada-server")
    if (
        any(name in str(specification.extends) for name in without)
        and "fp64" in specification.peaks
    ):
        ratio = specification.peaks["fp32"].base / specification.peaks["fp64"].base
        assert ratio == pytest.approx(64, rel=0.01)


@pytest.mark.parametrize("key", FILES)
def test_a_processor_of_a_computer_says_which_clock_its_peak_is_at(key: str) -> None:
    specification = spec_of(key)
    if specification.kind != "cpu" or specification.segment in {
        "edge",
        "phone",
        "microcontroller",
    }:
        return
    said = " ".join([specification.description, *specification.notes])
    assert re.search(r"base clock|sustain under wide vectors|GHz", said), said
    fp32 = specification.peaks["fp32"]
    assert arithmetic(fp32) is not None, fp32.note
    if specification.vendor == "Intel" and "efficiency cores" in (fp32.note or ""):
        assert "sustain under wide vectors" in said


def test_most_derived_peaks_show_arithmetic_that_is_checked() -> None:
    derived = [
        quantity
        for key in FILES
        for _, quantity in quantities(spec_of(key))
        # Sparse peaks are compared with the dense ones above.
        if quantity.kind == "derived" and quantity.note != "Twice the dense peak"
    ]
    checked = [quantity for quantity in derived if arithmetic(quantity) is not None]
    assert len(checked) >= 0.8 * len(derived)


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = json.loads((ROOT / "platforms/schema.json").read_text())
    assert shipped == json.loads(json.dumps(json_schema())), (
        "run: roofline platforms schema -o platforms/schema.json"
    )


def test_the_schema_describes_itself() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    undescribed = [
        f"{name}.{field}"
        for name, part in [("root", schema), *schema["$defs"].items()]
        for field, content in part.get("properties", {}).items()
        if not content.get("description") and "$ref" not in content
    ]
    assert undescribed == []


def test_the_schema_refuses_what_the_loader_refuses() -> None:
    content: dict[str, Any] = yaml.safe_load(FILES["ncs"].read_text())
    content["peaks"]["fp16"]["unit"] = "GB/s"
    content["colour"] = "blue"
    content["peaks"]["int9"] = content["peaks"]["int8"]
    errors = [
        error.message
        for error in jsonschema.Draft202012Validator(json_schema()).iter_errors(content)
    ]
    assert any("GB/s" in error for error in errors)
    assert any("colour" in error for error in errors)
    assert any("int9" in error for error in errors)


def test_the_page_of_platforms_is_up_to_date() -> None:
    page = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
    assert page == refresh(page), "run: roofline platforms docs docs/platforms.md"
    assert "| `tx2:maxn` |" in page


# Names that published tables of measured runs give machines, and what each means here.
PUBLISHED_NAMES = {
    "NVIDIA RTX 4090": "rtx-4090",
    "a100-80gb": "a100-sxm-80gb",
    "jetson-agx-orin-64gb": "agx-orin:maxn",
    "Intel Core i9-10940X": "i9-10940x",
    "Hailo-8": "hailo-8",
    "q:Samsung Galaxy S24": "snapdragon-8-gen-3",
    "ncnn:Station-M2/ROC-RK3566-PC, Rockchip RK356": "rk3566-cpu",
    "vck5000-dpu": "vck5000-dpu",
    "h100_sxm": "h100-sxm",
    "A6000": "rtx-a6000",
    "2080 Ti": "rtx-2080ti",
}


@pytest.mark.parametrize("name", PUBLISHED_NAMES)
def test_a_published_name_means_one_machine(name: str) -> None:
    found = find_alias(name)
    assert found is not None
    assert found.platform == PUBLISHED_NAMES[name]
    key = found.platform.partition(":")[0]
    assert platform(name).specification.key == platform(name.upper()).specification.key == key


def test_every_alias_names_a_machine_and_is_no_key() -> None:
    for name, alias in aliases().items():
        assert platform(alias.platform), name
        assert name not in FILES, f"{name} is a key, so its alias is never asked"
        assert alias.units >= 1
    socket = find_alias("ov Xeon Platinum 8270")
    assert socket == Alias("xeon-8270", units=2)
    assert find_alias("no such machine") is None


def test_the_evidence_at_hand_names_known_machines() -> None:
    folder = Path(os.environ.get("ROOFLINE_FACTS", ROOT / "../shared/facts")) / "public_fps"
    if not (folder / "evidence.csv").is_file():
        pytest.skip("the published runs are not at hand")
    names: set[str] = set()
    for table, columns in (("evidence.csv", ("machine", "key")), ("llm.csv", ("system",))):
        with (folder / table).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                names |= {row[column] for column in columns}
    assert {name for name in names if find_alias(name) is None} == set()


def test_the_machines_most_asked_for_are_no_guesswork() -> None:
    assert len(popular_machines()) == len(set(popular_machines())) == 60
    kinds = [
        quantity.kind
        for key in popular_machines()
        for quantity in default_quantities(spec_of(key))
    ]
    assert kinds.count("estimated") < 0.15 * len(kinds)
    assert all(has_sources(spec_of(key)) for key in popular_machines())
