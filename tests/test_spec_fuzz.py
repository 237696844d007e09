"""Whatever a platform file holds, the loader gives a specification or one clear line."""

# ruff: noqa: PT017 - a specification and a one-line error are both right; only another outcome fails.
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roofline.errors import PlatformError, RooflineError
from roofline.precision import COMPUTE_DATATYPES
from roofline.spec import from_mapping, in_mode, load, platform, platform_files
from roofline.spec.reading import parse
from roofline.spec.writing import as_yaml

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHIPPED = {key: path.read_text() for key, path in platform_files().items()}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from(["TOP/s", "GB/s", "datasheet", "general", "1.0e12", ".inf", "2:4", "int8", "~"]),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from(
        [
            "schema_version",
            "key",
            "peaks",
            "memories",
            "sources",
            "modes",
            "power",
            "value",
            "unit",
            "int8",
            "profiles",
        ]
    ),
    st.text(max_size=8),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


def loads(path: Path) -> bool:
    """Load a file; anything but a specification or a one-line error fails the test."""
    try:
        spec = load(path)
        for mode in spec.modes or (None,):
            machine = in_mode(spec, mode)
            assert machine.bandwidth > 0
            assert all(machine.ridge(name) > 0 for name in machine.datatypes)
    except RooflineError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error) or "platform" in str(error)
        return False
    return True


@QUICK
@given(content=st.binary(max_size=400))
def test_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(content)
    loads(path)


@QUICK
@given(content=st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`,?\n \t0.1e~"), max_size=120))
def test_yaml_punctuation(tmp_path: Path, content: str) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(content)
    loads(path)


@QUICK
@given(tree=TREES)
def test_random_trees(tmp_path: Path, tree: Any) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    loads(path)


@QUICK
@given(data=st.data())
def test_a_shipped_file_with_its_bytes_disturbed(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(SHIPPED[data.draw(st.sampled_from(sorted(SHIPPED)))].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(content)
    loads(path)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    for key, entry in items:
        found += places(entry, (*path, key))
    return found


@QUICK
@given(data=st.data())
def test_a_shipped_file_with_one_entry_replaced(tmp_path: Path, data: st.DataObject) -> None:
    tree = copy.deepcopy(yaml.safe_load(SHIPPED[data.draw(st.sampled_from(sorted(SHIPPED)))]))
    *outer, last = data.draw(st.sampled_from(places(tree)))
    here = tree
    for part in outer:
        here = here[part]
    here[last] = data.draw(TREES)
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    loads(path)


@QUICK
@given(name=st.text(max_size=30))
def test_any_name(name: str) -> None:
    try:
        platform(name)
    except RooflineError as error:
        assert "\n" not in str(error)


POSITIVE = st.floats(min_value=1e-6, max_value=1e6)


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """Files that break no rule."""

    def quantity(unit: str) -> dict[str, Any]:
        kind = draw(st.sampled_from(["datasheet", "derived", "measured", "estimated"]))
        return {
            "value": draw(POSITIVE),
            "unit": unit,
            "kind": kind,
            "source": "sheet",
            "note": draw(st.text(min_size=1, max_size=20)),
        }

    names = draw(st.lists(st.sampled_from(COMPUTE_DATATYPES), min_size=1, unique=True))
    here = draw(st.integers(1, len(names)))
    return {
        "schema_version": 1,
        "key": draw(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)),
        "name": draw(st.text(min_size=1, max_size=30)),
        "vendor": draw(st.text(min_size=1, max_size=30)),
        "kind": draw(st.sampled_from(["cpu", "gpu", "npu", "fpga"])),
        "year": draw(st.integers(1970, 2100)),
        "peaks": {
            name: quantity(draw(st.sampled_from(["GOP/s", "TFLOP/s"]))) for name in names[:here]
        },
        "absent": names[here:],
        "memories": [
            {
                "name": draw(st.text(min_size=1, max_size=9)),
                "bandwidth": quantity("GiB/s"),
                "capacity": quantity("MB"),
            }
        ],
        "power": {"tdp": quantity("mW")},
        "sources": {
            "sheet": {
                "title": draw(st.text(min_size=1, max_size=30)),
                "url": "https://example.org",
            }
        },
    }


@QUICK
@given(content=machines())
def test_what_is_written_reads_back_equal(content: dict[str, Any]) -> None:
    spec = from_mapping(content)
    assert from_mapping(parse(as_yaml(spec), "written").content) == spec


@QUICK
@given(content=machines(), datatype=st.sampled_from(COMPUTE_DATATYPES))
def test_the_ridge_is_where_both_bind(content: dict[str, Any], datatype: str) -> None:
    machine = in_mode(from_mapping(content), None)
    if machine.has(datatype):
        bound = machine.ridge(datatype) * machine.bandwidth
        assert abs(bound - machine.peak(datatype)) <= 1e-9 * bound
        assert machine.emulation(datatype) == datatype
    else:
        try:
            assert machine.has(machine.emulation(datatype))
        except RooflineError as error:
            assert not isinstance(error, PlatformError)
