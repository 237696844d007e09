"""The strict check: each mistake that other collections ship raises a doubt, and a reason answers it."""

# ruff: noqa: E501 - one line for each mistake
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from roofline.errors import PlatformError
from roofline.spec import from_mapping
from roofline.spec.audit import census, doubts, has_sources


def quantity(value: float, unit: str, kind: str = "published", **more: object) -> dict[str, Any]:
    return {"value": value, "unit": unit, "kind": kind, "source": "sheet", **more}


GOOD: dict[str, Any] = {
    "schema_version": 1,
    "key": "card",
    "name": "Card",
    "vendor": "Maker",
    "kind": "gpu",
    "segment": "desktop",
    "year": 2024,
    "skips_zeros": "2:4",
    "compute_units": {"sms": quantity(10, "1")},
    "clocks": {"boost": quantity(2, "GHz")},
    "peaks": {
        "fp16": quantity(
            20.48,
            "TOP/s",
            sparse=quantity(40.96, "TOP/s", pattern="2:4"),
            arithmetic={"units": "sms", "operations_per_cycle": 1024, "clock": "boost"},
        ),
        "int8": quantity(40.96, "TOP/s"),
    },
    "memories": [
        {
            "name": "GDDR6",
            "bandwidth": quantity(448, "GB/s"),
            "bus": quantity(256, "bit"),
            "transfers": quantity(14, "GT/s"),
        }
    ],
    "power": {"of": "card", "tdp": quantity(200, "W")},
    "price": quantity(500, "USD", of="card", date="2024-01"),
    "sources": {"sheet": {"title": "A review", "url": "https://example.org"}},
}


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    change(content)
    return content


def test_a_sound_file_raises_no_doubt() -> None:
    assert list(doubts(from_mapping(GOOD))) == []


@pytest.mark.parametrize(
    ("change", "rule", "expected"),
    [
        # The sparse figure of one datatype beside the dense one of another.
        (lambda c: c["peaks"].update(int8=quantity(327.7, "TOP/s")), "ratios", "16 times apart from fp16"),
        # Another variant's figure.
        (lambda c: c["peaks"].update(int8=quantity(55, "TOP/s")), "ratios", "2.69 times apart from fp16"),
        # Slower at fewer bits, and not by a power of two.
        (lambda c: c["peaks"].update(int8=quantity(8.192, "TOP/s")), "ratios", "2.5 times apart from fp16"),
        (lambda c: c["peaks"]["fp16"].update(sparse=quantity(61.44, "TOP/s", pattern="2:4")), "sparse", "3 times the dense peak"),
        (lambda c: c["power"].update(of="chip"), "product", "the power is the chip's and the price the card's"),
        (lambda c: c["peaks"]["int8"].update(kind="datasheet"), "maker", "does not say maker: true"),
        (lambda c: c.pop("segment"), "segment", "is missing"),
    ],
)  # fmt: skip
def test_each_mistake_raises_a_doubt_that_a_reason_answers(
    change: Callable[[dict[str, Any]], None], rule: str, expected: str
) -> None:
    content = changed(change)
    (doubt,) = doubts(from_mapping(content))
    assert expected in str(doubt)
    assert list(doubts(from_mapping({**content, "exceptions": {rule: "So the maker says"}}))) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Sparse for dense: twice units x clock.
        (lambda c: c["peaks"]["fp16"].update(value=40.96, sparse=quantity(81.92, "TOP/s", pattern="2:4")), "is not 10 sms x 1024 OP/cycle x 2 GHz"),
        # GiB/s printed as GB/s, and the bandwidth of another variant.
        (lambda c: c["memories"][0].update(bandwidth=quantity(417.2, "GB/s")), "is not 256 bit x 14 GT/s / 8 = 448 GB/s"),
        (lambda c: c["memories"][0].update(bandwidth=quantity(504, "GB/s")), "is not 256 bit x 14 GT/s / 8 = 448 GB/s"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(
    change: Callable[[dict[str, Any]], None], expected: str
) -> None:
    with pytest.raises(PlatformError, match=expected):
        from_mapping(changed(change))


def test_a_guessed_peak_or_bandwidth_does_not_count() -> None:
    def guess(path: tuple[Any, ...]) -> dict[str, Any]:
        content = copy.deepcopy(GOOD)
        here = content
        for key in path:
            here = here[key]
        here["kind"] = "estimated"
        return content

    assert has_sources(from_mapping(GOOD))
    assert has_sources(from_mapping(guess(("peaks", "int8"))))  # fp16 is known
    assert not has_sources(from_mapping(guess(("memories", 0, "bandwidth"))))
    only = guess(("peaks", "int8"))
    del only["peaks"]["fp16"]
    assert not has_sources(from_mapping(only))
    found = census([from_mapping(GOOD), from_mapping(only)])
    assert (found.machines, found.sourced) == (2, 1)
    assert found.share("estimated") == pytest.approx(1 / sum(found.kinds.values()))
