"""Every rule of platform files, broken one at a time: the message names the place, the rule and the repair."""

# ruff: noqa: E501 - one rule, one row: the table is read by columns.
from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from roofline.errors import PlatformError
from roofline.spec import load
from roofline.spec.loading import examine
from roofline.spec.reading import MAX_BYTES, parse

GOOD = """\
schema_version: 1
key: my-board
name: My board
vendor: Me
kind: npu
year: 2025
peaks:
  int8: {value: 2, unit: TOP/s, kind: datasheet, source: sheet}
absent: [fp64]
memories:
  - name: DRAM
    bandwidth: {value: 8, unit: GB/s, kind: datasheet, source: sheet}
    capacity: {value: 4, unit: GB, kind: datasheet, source: sheet}
  - name: SRAM
    on_chip: true
    bandwidth: {value: 80, unit: GB/s, kind: datasheet, source: sheet}
    capacity: {value: 1, unit: MB, kind: datasheet, source: sheet}
power:
  tdp: {value: 5, unit: W, kind: datasheet, source: sheet}
price: {value: 99, unit: USD, kind: estimated, source: sheet, of: board, date: "2025-01"}
default_mode: fast
modes:
  fast: {peaks: {int8: {value: 3, unit: TOP/s, kind: datasheet, source: sheet}}}
sources:
  sheet: {title: Data sheet, url: "https://example.org/sheet"}
"""


PROFILE: dict[str, Any] = {
    "backend": "x",
    "version": "1",
    "threads": 2,
    "datatype": "int8",
    "tool": "roofline calibrate",
    "date": "2026",
}


def quantity(value: float, unit: str, **more: object) -> dict[str, object]:
    return {"value": value, "unit": unit, "kind": "datasheet", "source": "sheet", **more}


def message(text: str, tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(PlatformError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line.replace(str(path), "FILE")


def first(line: str) -> str:
    return re.sub(r" \(\d+ more: roofline platforms check FILE\)", "", line)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load(tmp_path / "good.yaml").key == "my-board"


# (what to write instead of what, what the message must hold)
TEXTS = [
    # Unknown, misspelt and missing keys.
    ("power:\n  tdp", "power:\n  tpd", "line 19: power.tpd: unknown key tpd. Did you mean 'tdp'?"),
    ("vendor: Me", "vender: Me", "line 4: vender: unknown key vender. Did you mean 'vendor'?"),
    ("vendor: Me", "vendor: Me\ncolour: red", "colour: unknown key colour. Known keys: schema_version, key,"),
    ("vendor: Me", "vendor: Me\n'[key]': red", "[key]: unknown key [key]. Did you mean 'key'?"),
    ("power:\n  tdp", "power:\n  '[key]': 1\n  tdp", "power.[key]: unknown key [key]"),
    ("vendor: Me\n", "", "vendor: is missing. Add it"),
    ("{value: 8, unit: GB/s,", "{value: 8,", "line 12: memories[0].bandwidth.unit: is missing"),
    ("int8: {value: 2, unit: TOP/s, kind: datasheet, source: sheet}", "int8: {value: 2, unit: TOP/s, kind: datasheet}", "peaks.int8.source: is missing"),
    # A line of a list, and that of a mapping in it.
    ("  - name: DRAM\n", "  - 3\n  - name: DRAM\n", "line 11: memories[0]"),
    # Units.
    ("value: 2, unit: TOP/s", "value: 2, unit: TOPS", "line 8: peaks.int8.unit: unknown unit 'TOPS' for a compute rate. Did you mean 'TOP/s'?"),
    ("value: 2, unit: TOP/s", "value: 2, unit: GB/s", "peaks.int8.unit: unit 'GB/s' measures bandwidth, not compute rate. Use one of: OP/s,"),
    ("value: 8, unit: GB/s", "value: 8, unit: Gb/s", "memories[0].bandwidth.unit: unknown unit 'Gb/s' for a bandwidth. Did you mean"),
    # Numbers.
    ("int8: {value: 2,", "int8: {value: 1.0e12,", "peaks.int8.value: '1.0e12' is text to YAML, not a number. Write the exponent with a sign and without quotes (1.0e+12)"),
    ("int8: {value: 2,", "int8: {value: '2.5',", "peaks.int8.value: '2.5' is text to YAML, not a number. Write 2.5 without quotes"),
    ("int8: {value: 2,", "int8: {value: two,", "peaks.int8.value: must be a number, not the text 'two'"),
    ("int8: {value: 2,", "int8: {value: yes,", "peaks.int8.value: must be a number, not yes or no"),
    ("int8: {value: 2,", "int8: {value: .nan,", "peaks.int8.value: must be a finite number above zero, not nan"),
    ("int8: {value: 2,", "int8: {value: .inf,", "must be a finite number above zero, not inf"),
    ("int8: {value: 2,", "int8: {value: -2,", "must be a finite number above zero, not -2"),
    ("int8: {value: 2,", "int8: {value: 0,", "must be a finite number above zero, not 0"),
    ("int8: {value: 2,", "int8: {value: " + "9" * 390 + ",", "must be a finite number above zero, not inf"),
    ("int8: {value: 2,", "int8: {value: 1.0e+300,", "peaks.int8.value: 1e+300 TOP/s is beyond every machine. Check the value"),
    ("int8: {value: 2,", "int8: {value: ,", "peaks.int8.value:"),
    ("int8: {value: 2, unit: TOP/s, kind: datasheet, source: sheet}", "int8: 2", "peaks.int8: must be a mapping, not 2. Every number says where it comes from"),
    ("year: 2025", "year: 25", "line 6: year: should be greater than or equal to 1970, not 25"),
    ("year: 2025", "year: soon", "year: "),
    # Kinds, keys, datatypes.
    ("unit: TOP/s, kind: datasheet", "unit: TOP/s, kind: guess", "peaks.int8.kind: must be 'datasheet', 'published', 'derived', 'measured' or 'estimated', not 'guess'"),
    ("unit: TOP/s, kind: datasheet", "unit: TOP/s, kind: derived", "peaks.int8.note: a derived number needs its arithmetic"),
    ("kind: npu", "kind: dsp", "kind: must be 'cpu', 'gpu', 'npu', 'fpga' or 'tpu', not 'dsp'"),
    ("key: my-board", "key: My Board", "key: 'My Board' is not a key. Use lower-case letters"),
    ("key: my-board", "key: 17", "key: must be text, not 17. Put it in quotes"),
    ("  int8: {value: 2", "  int9: {value: 2", "peaks: unknown datatype 'int9'. Did you mean 'int8'?"),
    ("absent: [fp64]", "absent: [fp65]", "absent[0]: unknown datatype 'fp65'. Did you mean 'fp64'?"),
    ("absent: [fp64]", "absent: fp64", "absent: must be a list, not 'fp64'. Start each entry with a dash"),
    ("absent: [fp64]", "absent: [int8]", "absent[0]: int8 has a peak and is absent too"),
    ("absent: [fp64]", "absent: [fp64, fp64]", "absent[1]: fp64 is listed twice"),
    # Sources.
    ("unit: TOP/s, kind: datasheet, source: sheet", "unit: TOP/s, kind: datasheet, source: sheets", "peaks.int8.source: no source has the key 'sheets'. Did you mean 'sheet'?"),
    ("sources:\n", "sources:\n  paper: {title: A paper}\n", "sources.paper: no number uses this source"),
    (', url: "https://example.org/sheet"', "", "peaks.int8.kind: a datasheet number needs a source with a url, and 'sheet' has none. Add the url, or say kind: estimated"),
    ("https://example.org", "ftp://example.org", "sources.sheet.url: 'ftp://example.org/sheet' does not have the form"),
    # Memories.
    ("value: 80, unit: GB/s", "value: 7, unit: GB/s", "memories[1].bandwidth.value: an inner memory is slower than the one outside it. List the memories outermost first"),
    ("value: 1, unit: MB", "value: 5, unit: GB", "memories[1].capacity.value: an inner memory is larger than the one outside it"),
    ("name: SRAM", "name: DRAM", "memories[1].name: two memories are named 'DRAM'"),
    ("    bandwidth: {value: 8, unit: GB/s, kind: datasheet, source: sheet}\n", "", "memories[0].bandwidth: the outermost memory needs a bandwidth"),
    # Modes.
    ("default_mode: fast", "default_mode: fats", "default_mode: no mode is named 'fats'. Did you mean 'fast'?"),
    ("  fast: {peaks", "  fa:st: {peaks", "default_mode: no mode is named 'fast'. Did you mean 'fa:st'?"),
    ("int8: {value: 3,", "int8: {value: -3,", "modes.fast.peaks.int8.value: must be a finite number above zero"),
    # Sparsity.
    ("int8: {value: 2, unit: TOP/s, kind: datasheet, source: sheet}", "int8: {value: 2, unit: TOP/s, kind: datasheet, source: sheet, sparse: {value: 4, unit: TOP/s, kind: datasheet, source: sheet, pattern: '2:4'}}", "peaks.int8.sparse: a sparse peak on a machine that skips no zeros. Write skips_zeros: \"2:4\""),
    # Versions.
    ("schema_version: 1", "schema_version: 2", "schema_version: version 2 of the format is not the one this program reads, 1. Upgrade roofline"),
    ("schema_version: 1", "schema_version: 0", "version 0 of the format is not the one this program reads, 1. Write schema_version: 1"),
    ("schema_version: 1\n", "", "schema_version: is missing"),
    # YAML.
    ("vendor: Me", "vendor: Me\nvendor: You", "line 5: vendor is there twice, first on line 4. Remove one of the two"),
    ("int8: {value: 2,", "int8: {value: 2, value: 3,", "peaks.int8.value is there twice"),
    ("vendor: Me", "vendor: &who Me\ndescription: *who", "line 5: description uses an alias (*name). Write the value out"),
    ("vendor: Me", "vendor: !!python/object/apply:os.system [ls]", "vendor uses the tag tag:yaml.org,2002:python/object/apply:os.system"),
    ("vendor: Me", "vendor: [Me", "not valid YAML"),
    ("vendor: Me", "? [a, b]\n: Me", "a key must be plain text"),
    ("vendor: Me", "vendor: Me\n---\nvendor: You", "line 5: holds more than one document. Put each into a file of its own"),
    ("vendor: Me", "vendor: " + "[" * 40 + "]" * 40, "nests deeper than 16 levels"),
    ("vendor: Me", "vendor: INFORMATION_REQUIRED", "line 4: vendor: still says INFORMATION_REQUIRED"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "expected"), TEXTS, ids=[str(index) for index in range(len(TEXTS))]
)
def test_each_rule_is_told(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert old in GOOD
    assert expected in first(message(GOOD.replace(old, new, 1), tmp_path))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda file: file.update(peaks={}, modes={}, default_mode=None), "peaks: the machine has no peak"),
        (lambda file: file.update(peaks={}, modes={"fast": file["modes"]["fast"], "slow": {"description": "x"}}), "modes.slow.peaks: the machine has no peak in this mode"),
        (lambda file: file.update(default_mode=None, modes={"a b": {}}), "modes.a b: is not a name for a mode. Use lower-case letters"),
        (lambda file: file.update(memories=[]), "memories: the machine has no memory"),
        (lambda file: file.update(lanes={"value": 1.5, "unit": "1", "kind": "estimated", "source": "sheet"}), "lanes.value: must be a whole number"),
        (lambda file: file["price"].update(date="May"), "price.date: 'May' does not have the form"),
        (lambda file: file["peaks"]["int8"].update(sparse={"value": 1, "unit": "TOP/s", "kind": "estimated", "source": "sheet", "pattern": "2:4"}), "sparse"),
        (lambda file: file.update(profiles={"x/1/2/int8": {**PROFILE, "figurs": {}}}), "profiles.x/1/2/int8.figurs: unknown key figurs. Did you mean 'figures'?"),
        (lambda file: file.update(profiles={"x/1/2/int8": {**PROFILE, "spread": float("nan")}}), "profiles.x/1/2/int8.spread"),
        (lambda file: file.update(profiles={"mine": PROFILE}), "profiles.mine: a profile is not named after what it says. Write x/1/2/int8"),
        (lambda file: file.update(compute_units={"cores": quantity(1.5, "1")}), "compute_units.cores.value: must be a whole number"),
        (lambda file: file["peaks"]["int8"].update(arithmetic={"units": "cores", "operations_per_cycle": 4, "clock": "base"}), "peaks.int8.arithmetic.units: no units are named 'cores'. Add compute_units: cores"),
        (lambda file: file.update(compute_units={"cores": quantity(4, "1")}, peaks={"int8": quantity(2, "TOP/s", arithmetic={"units": "cores", "operations_per_cycle": 4, "clock": "base"})}), "peaks.int8.arithmetic.clock: the machine has no base clock"),
        (lambda file: file.update(compute_units={"cores": quantity(4, "1")}, clocks={"base": quantity(1, "GHz")}, peaks={"int8": quantity(32.7, "GOP/s", arithmetic={"units": "cores", "operations_per_cycle": 8, "clock": "base"})}), "peaks.int8.value: 32.7 GOP/s is not 4 cores x 8 OP/cycle x 1 GHz = 0.032 TOP/s. Check whether the figure is sparse"),
        (lambda file: file.update(clocks={"base": quantity(2, "GHz"), "boost": quantity(1, "GHz")}), "clocks.boost: is below the base clock"),
        (lambda file: file["power"].update(idle=quantity(3, "W"), full=quantity(2, "W")), "power.full: is below the idle power"),
        (lambda file: file["memories"][0].update(attained=quantity(8.1, "GB/s")), "memories[0].attained.value: more is attained than the memory gives"),
        (lambda file: file["memories"][0].update(bus=quantity(64, "bit"), transfers=quantity(1073.741824, "MT/s")), "memories[0].bandwidth.value: 8 GB/s is not 64 bit x 1073.74 MT/s / 8 = 8.58993 GB/s. Check for GiB/s"),
        (lambda file: (file.update(kind="gpu"), file["memories"][1].update(holds_weights=True)), "memories[1].holds_weights: the memories of a gpu are caches, which keep nothing by themselves"),
        (lambda file: (file["memories"][1].pop("capacity"), file["memories"][1].update(holds_weights=True)), "memories[1].capacity: what holds weights needs a capacity"),
        (lambda file: file["memories"][1].update(excess_from="host_link"), "memories[1].excess_from: only what holds weights has an excess"),
        (lambda file: file["memories"][1].update(holds_weights=True, excess_from="host_link"), "memories[1].excess_from: the machine has no host link. Add host_link"),
        (lambda file: file["price"].update(of="box"), "price.of: must be 'chip', 'module', 'card', 'board' or 'system', not 'box'"),
        (lambda file: file.update(segment="server"), "segment: must be 'data centre', 'desktop'"),
    ],
)  # fmt: skip
def test_each_rule_on_the_whole_is_told(
    change: Callable[[dict[str, Any]], None], expected: str, tmp_path: Path
) -> None:
    content = copy.deepcopy(yaml.safe_load(GOOD))
    change(content)
    assert expected in first(message(yaml.safe_dump(content, sort_keys=False), tmp_path))


def test_every_problem_is_found_at_once() -> None:
    text = (
        GOOD.replace("unit: GB/s", "unit: GBps")
        .replace("kind: npu", "kind: dsp")
        .replace("tdp: {value: 5", "tdp: {value: 0")
    )
    _, problems = examine(parse(text, "bad.yaml"))
    assert {problem.where for problem in problems} == {
        "kind", "memories[0].bandwidth.unit", "memories[1].bandwidth.unit", "power.tdp.value",
    }  # fmt: skip
    lines = text.splitlines()
    for problem in problems:
        assert problem.line is not None
        assert (
            str(
                problem.path[
                    0 if problem.where == "kind" else 1 if problem.path[0] == "power" else 2
                ]
            )
            in lines[problem.line - 1]
        )


def test_the_first_problem_counts_the_rest(tmp_path: Path) -> None:
    text = GOOD.replace("unit: GB/s", "unit: GBps")
    assert "(1 more: roofline platforms check FILE)" in message(text, tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "a platform file is a mapping of keys to values. Start from a scaffold"),
        (b"# only a comment\n", "a platform file is a mapping"),
        (b"- a\n- b\n", "a platform file is a mapping"),
        (b"just words", "a platform file is a mapping"),
        (b"\xff\xfe\x00", "is not UTF-8 text (byte 0)"),
        (b"a: \x00", "not valid YAML"),
        (b"a: " + b"x" * MAX_BYTES, "is larger than 256 KiB"),
        (b"[" * 100_000, "nest"),
        (b"{a: " * 50_000, "nest"),
        (b"a: [" + b"1," * 30_000 + b"]", "holds more than 20,000 values"),
        (b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n", "uses an alias"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8 text"),
        (b"PK\x03\x04 rest of an archive", "not valid YAML"),
    ],
    ids=range(13),
)
def test_what_is_no_platform_file_is_told_in_one_line(
    content: bytes, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(PlatformError) as caught:
        load(path)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_device_are_no_platform_files(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="is a folder"):
        load(tmp_path)
    if Path("/dev/zero").exists():
        with pytest.raises(PlatformError, match="is no regular file"):
            load(Path("/dev/zero"))


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path).key == "my-board"


def test_dates_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD.replace('date: "2025-01"', "date: 2025-01-31"))
    price = load(path).price
    assert price is not None
    assert price.date == "2025-01-31"
