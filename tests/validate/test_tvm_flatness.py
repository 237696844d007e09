"""Whether tuning has come to an end: the curve over the tries of every kernel, and tiles beyond the search's own."""

from __future__ import annotations

import importlib
import math
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roofline.validate.tvm.blocked import kernels as blocks
from roofline.validate.tvm.blocked import tile_search
from roofline.validate.tvm.blocked.tiles import Kernel, tiles

ROOT = Path(__file__).parents[2]
CONVOLUTION = Kernel(blocks.CONVOLUTION, (1, 4, 16, 16, 16), (64, 3, 3), "f16", 4, framed=True)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "tvm_flatness", raising=False)
    return importlib.import_module("tvm_flatness")


def kernel(calls, *seconds):
    return {"name": "k", "calls": calls, "tiles": True, "seconds": list(seconds)}


def test_a_curve_adds_the_best_so_far_of_every_kernel_as_often_as_it_is_called(script):
    kernels = [kernel(2, None, 5.0, 3.0), kernel(1, 7.0, 9.0, 1.0)]
    assert math.isinf(script.best_so_far(kernels, 1))
    assert script.best_so_far(kernels, 2) == 2 * 5.0 + 7.0
    assert script.best_so_far(kernels, 3) == 2 * 3.0 + 1.0


def test_the_last_third_is_what_is_gained_after_two_thirds_of_the_trials(script):
    improving = [kernel(1, 10.0, 9.0, 8.0, 8.0, 8.0, 6.0)]
    assert script.late_gain(improving, 6) == pytest.approx(0.25)
    done = [kernel(1, 10.0, 5.0, 5.0, 7.0, 9.0, 5.0)]
    assert script.late_gain(done, 6) == 0.0


def test_one_seed_that_still_gains_is_enough_for_a_budget(script):
    flat = {"trials": 6, "own_trials": 3, "kernels": [kernel(1, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0)]}
    late = {"trials": 6, "own_trials": 3, "kernels": [kernel(1, 4.0, 4.0, 4.0, 4.0, 4.0, 2.0)]}
    assert script.summary("net", "direct", {"1": flat, "2": flat})["flat"]
    row = script.summary("net", "direct", {"1": flat, "2": late})
    assert not row["flat"]
    assert row["own_above_best"] == [1.0, 1.0]
    assert "not flat: a budget" in script.markdown([row], "cpu", "today")
    few = script.summary("net", "direct", {"1": flat, "2": flat})
    assert "flat, but with 2 of 3 seeds" in script.markdown([few], "cpu", "today")


def test_each_processor_has_its_own_table_and_picture(script):
    page = (ROOT / "docs" / "tvm.md").read_text(encoding="utf-8")
    processors = re.findall(r"^<!-- flatness (.+) -->$", page, re.MULTILINE)
    assert processors
    for processor in processors:
        mark = script.section(processor)
        content = page.split(f"<!-- {mark} -->\n")[1].split(f"<!-- /{mark} -->\n")[0]
        assert f"(`{processor}`)" in content
        assert f"images/{script.picture(processor)}" in content
        assert (ROOT / "docs" / "images" / script.picture(processor)).is_file()


def timed_by_size(function, candidates, target, workers):
    """Stand in for timing: larger tiles are faster, and some do not run."""
    return {
        tile: math.inf if tile.depth == 16 else 1.0 / (tile.outer * tile.rows * tile.columns)
        for tile in candidates
    }


def test_tries_begin_with_the_searchs_own_tiles_and_go_on_with_others(monkeypatch):
    monkeypatch.setattr(tile_search, "seconds_of", timed_by_size)
    found = tile_search.beyond(CONVOLUTION, None, None, trials=40, seed=1, workers=1)
    assert list(found)[: len(tiles(CONVOLUTION))] == tiles(CONVOLUTION)
    assert len(found) == 40
    other = tile_search.beyond(CONVOLUTION, None, None, trials=40, seed=2, workers=1)
    own = tile_search.own_tiles(CONVOLUTION, list(found.values()))
    assert list(own.items()) == list(found.items())[: len(own)]
    assert list(other)[: len(own)] == list(own)
    assert list(other) != list(found)


def test_own_tiles_that_were_timed_are_not_timed_again(monkeypatch):
    monkeypatch.setattr(tile_search, "seconds_of", timed_by_size)
    found = tile_search.beyond(CONVOLUTION, None, None, trials=40, seed=1, workers=1)
    own = tile_search.own_tiles(CONVOLUTION, list(found.values()))
    asked = []

    def watched(function, candidates, target, workers):
        asked.extend(candidates)
        return timed_by_size(function, candidates, target, workers)

    monkeypatch.setattr(tile_search, "seconds_of", watched)
    tile_search.beyond(CONVOLUTION, None, None, trials=40, seed=2, workers=1, own=own)
    assert len(asked) == 40 - len(own)
    assert not set(asked) & set(own)
