"""Machines: finding them, their modes, and their numbers in base units."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from roofline.errors import DatatypeError, PlatformError
from roofline.precision import COMPUTE_DATATYPES, DATATYPES
from roofline.spec import (
    Platform,
    from_mapping,
    in_mode,
    load,
    platform,
    platform_files,
    platform_keys,
)
from roofline.spec.folders import packaged_folders
from roofline.spec.machine import WIDER
from roofline.spec.reading import parse
from roofline.spec.schema import Specification
from roofline.spec.writing import as_yaml

from .cli_process import run_python
from .collected import rows

# Blott et al. 2021 (QuTiBench), Table 2: TOP/s by datatype and GB/s of the external memory.
QUTIBENCH = {
    "ultra96-dpu": ({"int8": 0.96}, 4.26),
    "zcu104-dpu": ({"int8": 4.6}, 19.2),
    "zcu102-dpu": ({"int8": 6.71}, 19.2),
    "zcu104-finn": ({"int2": 30.7, "int4": 8.8}, 19.2),
    "zcu104-bismo": ({"int2": 30.7, "int4": 8.8}, 19.2),
    "tx2:maxn": ({"fp16": 1.33, "fp32": 0.67}, 59.7),
    "tx2:maxp": ({"fp16": 1.15, "fp32": 0.57}, 59.7),
    "tx2:maxq": ({"fp16": 0.87, "fp32": 0.44}, 59.7),
    "edgetpu:fast": ({"int8": 4}, 25.6),
    "edgetpu:slow": ({"int8": 2}, 25.6),
    "ncs": ({"fp16": 0.5, "int8": 1}, 12.8),
    "ultra96-a53": ({"int2": 0.192, "int4": 0.192, "int8": 0.192}, 4.26),
}


def quantity(value: float, unit: str, **more: object) -> dict[str, object]:
    return {"value": value, "unit": unit, "kind": "datasheet", "source": "sheet", **more}


def minimal(**more: object) -> dict[str, object]:
    """The smallest file that says enough, with further entries."""
    return {
        "schema_version": 1,
        "key": "my-board",
        "name": "My board",
        "vendor": "Me",
        "kind": "npu",
        "year": 2025,
        "peaks": {"int8": quantity(2, "TOP/s")},
        "memories": [{"name": "DRAM", "bandwidth": quantity(8, "GB/s")}],
        "sources": {"sheet": {"title": "Data sheet", "url": "https://example.org/sheet"}},
        **more,
    }


def machine(**more: object) -> Platform:
    return in_mode(from_mapping(minimal(**more)), None)


@pytest.mark.parametrize("key", QUTIBENCH)
def test_the_papers_figures_are_kept_exactly(key: str) -> None:
    peaks, bandwidth = QUTIBENCH[key]
    found = platform(key)
    assert {name: found.peak(name) for name in found.datatypes} == pytest.approx(
        {name: peak * 1e12 for name, peak in peaks.items()}
    )
    assert found.bandwidth == pytest.approx(bandwidth * 1e9)


def test_the_measured_runs_name_the_same_peaks_and_bandwidths() -> None:
    keys = {
        "EdgeTPU": "edgetpu", "NCS": "ncs", "TX2": "tx2", "U96-Quadcore-A53": "ultra96-a53",
        "Ultra96-DPU": "ultra96-dpu", "ZCU102-DPU": "zcu102-dpu", "ZCU104-BISMO": "zcu104-bismo",
        "ZCU104-DPU": "zcu104-dpu", "ZCU104-FINN": "zcu104-finn",
    }  # fmt: skip
    runs = rows("runs")
    assert len(runs) == 131
    for row in runs:
        board, colon, mode = row["platform"].partition(":")
        found = platform(f"{keys[board]}{colon}{mode}")
        assert found.peak(row["datatype"]) == pytest.approx(float(row["peak_tops"]) * 1e12)
        assert found.bandwidth == pytest.approx(float(row["bandwidth_gb_s"]) * 1e9)


def test_accessors_are_in_base_units() -> None:
    found = machine(
        memories=[
            {"name": "DRAM", "bandwidth": quantity(8, "GB/s"), "capacity": quantity(4, "GiB")},
            {"name": "SRAM", "on_chip": True, "capacity": quantity(512, "KiB")},
        ],
        host_link={"name": "USB", "bandwidth": quantity(400, "MB/s")},
        power={"tdp": quantity(2500, "mW"), "idle": quantity(1, "W")},
        price=quantity(99, "USD", of="board", date="2025-01"),
        lanes=quantity(3, "1"),
    )
    assert found.peak("int8") == 2e12
    assert found.bandwidth == 8e9
    assert found.ridge("int8") == 2e12 / 8e9
    assert found.capacity == 4 * 2**30
    assert found.on_chip_capacity == 512 * 2**10
    assert found.host_bandwidth == 400e6
    assert (found.tdp, found.idle_power, found.price, found.lanes) == (2.5, 1.0, 99.0, 3)


@pytest.mark.parametrize(
    ("power", "bought", "expected"),
    [("card", "card", 9.0), ("module", "board", 9.0), ("chip", "card", None), ("board", "module", None)],
)  # fmt: skip
def test_the_power_of_what_the_price_buys(power: str, bought: str, expected: float | None) -> None:
    found = machine(
        power={"of": power, "tdp": quantity(9, "W")},
        price=quantity(99, "USD", of=bought, date="2025-01"),
    )
    assert found.priced_power == expected


def test_without_a_budget_the_most_is_what_it_draws_under_full_load() -> None:
    assert machine(power={"of": "board", "full": quantity(12, "W")}).priced_power == 12
    both = {"of": "board", "full": quantity(12, "W"), "tdp": quantity(15, "W")}
    assert machine(power=both).priced_power == 15


def test_what_a_file_does_not_say_is_none() -> None:
    found = machine()
    unknown = (
        found.capacity,
        found.on_chip_capacity,
        found.host_bandwidth,
        found.tdp,
        found.idle_power,
        found.price,
    )
    assert unknown == (None,) * 6
    assert (found.lanes, found.skips_zeros, found.profiles, found.mode) == (1, "none", {}, None)


def test_a_missing_datatype_names_those_it_has() -> None:
    found = machine(absent=["fp32"])
    with pytest.raises(
        DatatypeError, match=r"^my-board has no fp32 unit; it has int8\. Choose one of them$"
    ):
        found.peak("fp32")
    with pytest.raises(
        DatatypeError,
        match=r"does not say whether it has fp16 units; it has int8\. Choose one of them$",
    ):
        found.peak("fp16")
    with pytest.raises(DatatypeError, match=r"unknown datatype 'int9'\. Did you mean 'int8'\?$"):
        found.peak("int9")


def test_the_sparse_peak_is_apart() -> None:
    found = machine(
        skips_zeros="2:4",
        peaks={
            "int8": quantity(2, "TOP/s", sparse=quantity(4, "TOP/s", pattern="2:4")),
            "int4": quantity(4, "TOP/s"),
        },
    )
    assert (found.peak("int8"), found.peak("int8", sparse=True)) == (2e12, 4e12)
    with pytest.raises(DatatypeError, match="no sparse peak for int4"):
        found.peak("int4", sparse=True)


def test_another_figure_for_a_peak_is_asked_for_by_name() -> None:
    other = {"vendor": quantity(1, "TOP/s")}
    found = machine(peaks={"int8": quantity(2, "TOP/s", alternatives=other)})
    assert (found.peak("int8"), found.peak("int8", alternative="vendor")) == (2e12, 1e12)
    with pytest.raises(DatatypeError, match=r"no figure 'seller' for int8\. It has: vendor$"):
        found.peak("int8", alternative="seller")


@pytest.mark.parametrize(
    ("key", "datatype", "carrier"),
    [
        ("tx2:maxn", "fp16", "fp16"),
        ("tx2:maxn", "int8", "fp16"),
        ("tx2:maxn", "bf16", "fp32"),  # fp16 lacks the exponents of bf16
        ("ncs", "int2", "int8"),
        ("zcu104-finn", "binary", "int2"),
        ("a100-sxm-80gb", "int2", "int4"),
        ("t4", "bf16", "fp32"),
        ("h100-sxm", "int4", "int8"),
    ],
)
def test_emulation_takes_the_narrowest_unit_that_holds_the_values(
    key: str, datatype: str, carrier: str
) -> None:
    assert platform(key).emulation(datatype) == carrier


def test_a_float_is_never_emulated_on_integers() -> None:
    with pytest.raises(DatatypeError, match="edgetpu:fast has no fp16 unit"):
        platform("edgetpu:fast").emulation("fp16")


# Bits of the significand (with the hidden one) and of the exponent, from the formats' definitions.
SIGNIFICAND = {"fp64": 53, "fp32": 24, "tf32": 11, "bf16": 8, "fp16": 11, "fp8": 4, "fp4": 2}
EXPONENT = {"fp64": 11, "fp32": 8, "tf32": 8, "bf16": 8, "fp16": 5, "fp8": 4, "fp4": 2}


@pytest.mark.parametrize("narrow", COMPUTE_DATATYPES)
def test_every_wider_datatype_holds_every_value(narrow: str) -> None:
    widths = [DATATYPES[wide].bits for wide in WIDER[narrow]]
    assert widths == sorted(widths)
    for wide in WIDER[narrow]:
        if narrow in SIGNIFICAND:
            assert SIGNIFICAND[wide] >= SIGNIFICAND[narrow]
            assert EXPONENT[wide] >= EXPONENT[narrow]
        elif wide in SIGNIFICAND:
            # A signed integer of n bits reaches 2**(n - 1), a power of two.
            assert SIGNIFICAND[wide] >= DATATYPES[narrow].bits - 1
        else:
            assert DATATYPES[wide].bits > DATATYPES[narrow].bits


class TestModes:
    modes = {  # noqa: RUF012
        "slow": {"peaks": {"int8": quantity(1, "TOP/s")}, "power": {"tdp": quantity(5, "W")}},
        "narrow": {"memories": [{"name": "DRAM", "bandwidth": quantity(4, "GB/s")}]},
    }

    def test_a_mode_overrides_what_it_gives_and_keeps_the_rest(self) -> None:
        spec = from_mapping(
            minimal(modes=self.modes, power={"tdp": quantity(9, "W"), "idle": quantity(2, "W")})
        )
        slow, narrow = in_mode(spec, "slow"), in_mode(spec, "narrow")
        assert (slow.key, slow.peak("int8"), slow.bandwidth, slow.tdp, slow.idle_power) == (
            "my-board:slow",
            1e12,
            8e9,
            5,
            2,
        )
        assert (narrow.peak("int8"), narrow.bandwidth, narrow.tdp) == (2e12, 4e9, 9)

    def test_without_a_default_a_mode_must_be_named(self) -> None:
        spec = from_mapping(minimal(modes=self.modes))
        with pytest.raises(
            PlatformError, match=r"none was named\. Ask for one of: my-board:slow, my-board:narrow"
        ):
            in_mode(spec, None)

    def test_the_default_is_meant_and_named(self) -> None:
        assert (
            in_mode(from_mapping(minimal(modes=self.modes, default_mode="slow")), None).key
            == "my-board:slow"
        )
        assert platform("tx2").key == "tx2:maxn"

    def test_an_unknown_mode_names_the_nearest(self) -> None:
        with pytest.raises(PlatformError, match=r"no mode 'maxm'. Did you mean 'max[npq]'\?"):
            platform("tx2:maxm")

    def test_a_machine_without_modes_has_none_to_ask_for(self) -> None:
        with pytest.raises(PlatformError, match="has no modes, so not 'fast' either"):
            platform("ncs:fast")


class TestFinding:
    def test_an_unknown_key_names_the_nearest(self) -> None:
        with pytest.raises(
            PlatformError, match=r"unknown platform 'h100-sxn'. Did you mean 'h100-sxm'\?"
        ):
            platform("h100-sxn")

    def test_a_file_works_wherever_a_key_does(self, tmp_path: Path) -> None:
        path = tmp_path / "any name.yaml"
        path.write_text(platform_files()["tx2"].read_text())
        assert platform(str(path)) == platform("tx2")
        assert platform(f"{path}:maxq") == platform("tx2:maxq")

    @pytest.mark.parametrize(
        "name", ["nowhere/my.yaml", "my.yaml:fast", "a\0b.yaml", "x" * 5000 + ".yaml", ".yaml"]
    )
    def test_a_missing_file_is_one_line(self, name: str) -> None:
        with pytest.raises(PlatformError) as caught:
            platform(name)
        assert "\n" not in str(caught.value)

    def test_a_path_without_the_ending_is_told_apart_from_a_key(self) -> None:
        with pytest.raises(PlatformError, match=r"A platform file ends in \.yaml"):
            platform("boards/mine")

    def test_a_folder_of_the_environment_comes_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = platform_files()["ncs"].read_text()
        (tmp_path / "ncs.yaml").write_text(text.replace("value: 12.8", "value: 12.9"))
        (tmp_path / "ncs-two.yaml").write_text(text.replace("key: ncs", "key: ncs-two"))
        monkeypatch.setenv("ROOFLINE_PLATFORMS", str(tmp_path))
        assert platform("ncs").bandwidth == 12.9e9
        assert "ncs-two" in platform_keys()
        assert platform("tx2:maxn").bandwidth == 59.7e9

    def test_a_package_ships_machines_through_an_entry_point(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        boards = tmp_path / "acme_boards"
        boards.mkdir()
        (boards / "__init__.py").write_text("")
        text = platform_files()["ncs"].read_text().replace("key: ncs", "key: acme-one")
        (boards / "acme-one.yaml").write_text(text)
        info = tmp_path / "acme_boards-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-boards\nVersion: 1.0\n")
        entry = info / "entry_points.txt"
        entry.write_text("[roofline.platforms]\nacme = acme_boards\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert platform("acme-one").peak("fp16") == 0.5e12
        assert "acme-one" in platform_keys()
        entry.write_text("[roofline.platforms]\nacme = acme_bards\n")
        packaged_folders.cache_clear()
        with pytest.raises(PlatformError, match="names 'acme_bards', which is no package"):
            platform("ncs")

    def test_a_folder_that_is_none_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROOFLINE_PLATFORMS", "/nowhere at all")
        with pytest.raises(
            PlatformError, match="ROOFLINE_PLATFORMS names '/nowhere at all', which is no folder"
        ):
            platform("ncs")

    def test_a_file_must_be_named_after_its_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "stick.yaml").write_text(platform_files()["ncs"].read_text())
        monkeypatch.setenv("ROOFLINE_PLATFORMS", str(tmp_path))
        with pytest.raises(
            PlatformError, match=r"key: 'ncs' is not the name of the file\. Write key: stick"
        ):
            platform("stick")

    def test_keys_name_every_mode(self) -> None:
        keys = platform_keys()
        assert {"tx2:maxn", "tx2:maxp", "tx2:maxq", "edgetpu:fast", "h100-sxm"} <= set(keys)
        assert "tx2" not in keys
        assert len(set(keys)) == len(keys)


def test_a_platform_is_frozen_hashable_and_pickles() -> None:
    found = platform("tx2:maxn")
    with pytest.raises(TypeError, match="frozen"):
        found.peaks["int8"] = found.peaks["fp32"]  # type: ignore[index]
    assert pickle.loads(pickle.dumps(found)) == found
    assert hash(found) == hash(platform("tx2:maxn"))
    assert hash(found) != hash(platform("tx2:maxq"))


def test_profiles_are_read_and_written(tmp_path: Path) -> None:
    measured = {"kind": "measured", "source": "run"}
    profile = {
        "backend": "onnxruntime",
        "version": "1.23.2",
        "threads": 2,
        "datatype": "fp32",
        "tool": "roofline calibrate 0.1.0",
        "date": "2026-11-21",
        "figures": {
            "conv efficiency": {"value": 0.7, "unit": "1", **measured},
            "overhead": {"value": 48, "unit": "us", **measured},
        },
        "spread": 1.2,
    }
    sources = {
        "sheet": {"title": "Data sheet", "url": "https://example.org"},
        "run": {"title": "This machine, calibrated"},
    }
    key = "onnxruntime/1.23.2/2/fp32"
    spec = from_mapping(minimal(profiles={key: profile}, sources=sources))
    path = tmp_path / "my-board.yaml"
    path.write_text(as_yaml(spec))
    assert load(path) == spec
    found = platform(str(path)).profiles[key]
    assert (found.key, found.threads, found.spread) == (key, 2, 1.2)
    assert found.figures["overhead"].base == pytest.approx(48e-6)


def test_weights_stay_where_the_file_says_and_the_rest_crosses_what_it_names() -> None:
    sram = {"name": "SRAM", "on_chip": True, "capacity": quantity(8, "MB"), "holds_weights": True}
    dram = {"name": "DRAM", "bandwidth": quantity(8, "GB/s")}
    usb = {"name": "USB", "bandwidth": quantity(400, "MB/s")}
    assert machine().weight_memory is None
    assert machine().weight_bandwidth is None
    inside = machine(memories=[dram, sram])
    assert inside.weight_memory is not None
    assert (inside.weight_memory.name, inside.weight_bandwidth) == ("SRAM", 8e9)
    outside = machine(memories=[dram, {**sram, "excess_from": "host_link"}], host_link=usb)
    assert outside.weight_bandwidth == 400e6


def test_a_mode_replaces_the_clocks_and_units_that_it_states() -> None:
    found = in_mode(
        from_mapping(
            minimal(
                clocks={"base": quantity(1, "GHz"), "boost": quantity(2, "GHz")},
                compute_units={"cores": quantity(4, "1"), "dsps": quantity(1, "1")},
                modes={
                    "half": {
                        "clocks": {"boost": quantity(1.5, "GHz")},
                        "compute_units": {"cores": quantity(2, "1")},
                    }
                },
            )
        ),
        "half",
    ).specification
    assert found.clocks.base is not None
    assert found.clocks.boost is not None
    assert (found.clocks.base.base, found.clocks.boost.base) == (1e9, 1.5e9)
    assert {name: count.base for name, count in found.compute_units.items()} == {
        "cores": 2,
        "dsps": 1,
    }


def family(folder: Path, name: str, text: str) -> None:
    (folder / "families").mkdir(exist_ok=True)
    (folder / "families" / f"{name}.yaml").write_text(text)


def test_a_file_has_what_its_family_states(tmp_path: Path) -> None:
    family(
        tmp_path,
        "boards",
        """
vendor: Me
kind: npu
memories:
  - name: DRAM
    bandwidth: {value: 8, unit: GB/s, kind: datasheet, source: sheet}
peaks:
  int8: {value: 2, unit: TOP/s, kind: estimated, source: guess, note: as a whole}
  int4: {value: 4, unit: TOP/s, kind: datasheet, source: sheet}
sources:
  sheet: {title: Data sheet, url: "https://example.org/sheet"}
  guess: {title: General knowledge}
""",
    )
    path = tmp_path / "mine.yaml"
    path.write_text(
        """
schema_version: 1
key: mine
extends: boards
name: Mine
year: 2025
peaks:
  int8: {value: 3, unit: TOP/s, kind: datasheet, source: sheet}
"""
    )
    found = platform(str(path))
    assert (found.vendor, found.kind, found.bandwidth) == ("Me", "npu", 8e9)
    assert (found.peak("int8"), found.peak("int4")) == (3e12, 4e12)
    # The quantity was replaced whole, so that the guess is nobody's source any more.
    assert found.peaks["int8"].note is None
    assert list(found.specification.sources) == ["sheet"]
    assert found.specification.extends is None
    assert from_mapping(parse(as_yaml(found.specification), "mine").content) == found.specification


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("board", "no family or machine is named 'board'. Did you mean 'boards'?"),
        ("loop", "more than 4 files extend one another"),
        ("wrong", "wrong.yaml: line 2: not valid YAML"),
    ],
)
def test_what_cannot_be_extended_is_told_in_one_line(
    base: str, expected: str, tmp_path: Path
) -> None:
    family(tmp_path, "boards", "vendor: Me\n")
    family(tmp_path, "loop", "extends: pool\n")
    family(tmp_path, "pool", "extends: loop\n")
    family(tmp_path, "wrong", "vendor: [\n")
    path = tmp_path / "mine.yaml"
    path.write_text(f"schema_version: 1\nkey: mine\nextends: {base}\n")
    with pytest.raises(PlatformError) as caught:
        load(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_machine_extends_a_shipped_one() -> None:
    found = in_mode(
        from_mapping({"schema_version": 1, "key": "mine", "extends": "rtx-4090", "year": 2024}),
        None,
    )
    assert found.peak("int8") == platform("rtx-4090").peak("int8")
    assert (found.key, found.year) == ("mine", 2024)


def test_importing_loads_neither_yaml_nor_numpy() -> None:
    code = "import sys, roofline.spec; print(sorted({'yaml', 'numpy', 'onnx', 'pandas', 'rich'} & set(sys.modules)))"
    done = run_python("-c", code, check=True)
    assert done.stdout.strip() == "[]"


FAMILY_OF_RATES = """
vendor: Me
kind: gpu
rates:
  fp16: {units: sms, operations_per_cycle: 1024, clock: boost, kind: published, source: sheet,
         accumulate: fp16, sparse: "2:4", alternatives: {fp32-accumulate: 512}}
  int8: {units: sms, operations_per_cycle: 2048, clock: boost, kind: published, source: sheet}
skips_zeros: "2:4"
memories:
  - name: DRAM
    bandwidth: {value: 8, unit: GB/s, kind: published, source: sheet}
sources:
  sheet: {title: Data sheet, url: "https://example.org/sheet"}
  guess: {title: General knowledge}
"""

MEMBER_OF_RATES = """
schema_version: 1
key: mine
extends: boards
name: Mine
year: 2025
compute_units:
  sms: {value: 10, unit: "1", kind: published, source: sheet}
clocks:
  boost: {value: 2, unit: GHz, kind: published, source: sheet}
peaks:
  int8: {value: 41, unit: TOP/s, kind: published, source: sheet}
default_mode: full
modes:
  full: {}
  half:
    clocks:
      boost: {value: 1, unit: GHz, kind: estimated, source: guess}
"""


def test_peaks_follow_from_rates_units_and_clocks(tmp_path: Path) -> None:
    family(tmp_path, "boards", FAMILY_OF_RATES)
    path = tmp_path / "mine.yaml"
    path.write_text(MEMBER_OF_RATES)
    full, half = platform(f"{path}:full"), platform(f"{path}:half")
    assert full.peak("fp16") == pytest.approx(10 * 1024 * 2e9)
    assert full.peak("fp16", sparse=True) == pytest.approx(2 * 10 * 1024 * 2e9)
    assert full.peak("fp16", alternative="fp32-accumulate") == pytest.approx(10 * 512 * 2e9)
    assert full.peaks["fp16"].accumulate == "fp16"
    assert full.peak("int8") == 41e12  # stated, so not derived
    assert (full.peaks["fp16"].kind, full.peaks["fp16"].source) == ("derived", "sheet")
    # The mode's clock is a guess, and so is what follows from it.
    assert half.peak("int8") == pytest.approx(10 * 2048 * 1e9)
    assert (half.peaks["fp16"].kind, half.peaks["fp16"].source) == ("estimated", "guess")


def test_a_rate_that_gives_no_peak_is_told(tmp_path: Path) -> None:
    family(tmp_path, "boards", FAMILY_OF_RATES)
    path = tmp_path / "mine.yaml"
    path.write_text(MEMBER_OF_RATES.replace("sms:", "cores:"))
    with pytest.raises(PlatformError, match="does not say its sms or its boost clock"):
        load(path)


def test_a_file_is_written_in_the_order_of_the_schema() -> None:
    names = list(parse(as_yaml(platform("tx2").specification), "tx2").content)
    assert names[0] == "schema_version"
    assert names == [name for name in Specification.model_fields if name in names]
