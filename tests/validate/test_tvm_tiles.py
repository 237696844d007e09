"""The tiles that ship fit the kernels they are for, serve their processor alone, and leave resnet50 nothing to seek."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roofline.binding import Binding
from roofline.validate.measuring.backend import backends
from roofline.validate.tvm.blocked.tile_search import findings_for
from roofline.validate.tvm.blocked.tiles import Kernel, Tile, neighbours, tiles

FILES = sorted(
    (Path(__file__).parents[2] / "validate/tvm/blocked/tiles_by_processor").glob("*.json")
)
ENTRIES = [
    (file.stem, int(width), key, entry)
    for file in FILES
    for width, kernels in json.loads(file.read_text()).items()
    for key, entry in kernels.items()
]


def kernel(key: str, *, framed: bool) -> Kernel:
    """Return the kernel that a key stands for."""
    kind, spatial, reduced, *form, operands = key.split(" ")
    sizes = [tuple(int(size) for size in part.split("x")) for part in (spatial, reduced)]
    return Kernel(kind, sizes[0], sizes[1], " ".join(form), int(operands), framed)


def test_there_are_tiles() -> None:
    assert len(ENTRIES) >= 40


@pytest.mark.parametrize(("cpu", "width", "key", "entry"), ENTRIES)
def test_a_shipped_tile_is_one_that_the_search_tries(cpu, width, key, entry) -> None:
    tile = Tile.from_list(entry["tile"])
    tried = set()
    for framed in (False, True):
        made = kernel(key, framed=framed)
        assert made.key == key
        first = tiles(made)
        tried |= {*first, *(other for one in first for other in neighbours(made, one))}
    assert tile in tried
    assert entry["ms"] > 0
    if not made.product:
        # Tiles divide the image, or rows would be computed twice or not at all.
        assert made.spatial[2] % tile.rows == made.spatial[3] % tile.columns == 0
        assert made.spatial[4] == width


def test_tiles_serve_their_processor_and_width_alone(tmp_path) -> None:
    cpu, width, key, entry = ENTRIES[0]
    asked = kernel(key, framed=False)
    expected = Tile.from_list(entry["tile"])
    assert findings_for(tmp_path, cpu, width, fresh=False).tile(asked) == expected
    assert findings_for(tmp_path, cpu, width, fresh=True).tile(asked) is None
    assert findings_for(tmp_path, cpu, width // 2, fresh=False).tile(asked) is None
    assert findings_for(tmp_path, "skylake-avx512", width, fresh=False).tile(asked) is None


def test_two_processors_with_vectors_of_one_width_keep_their_own_tiles(tmp_path) -> None:
    by_processor: dict[str, dict[str, list[int]]] = {}
    for cpu, width, key, entry in ENTRIES:
        by_processor.setdefault(f"{width} {key}", {})[cpu] = entry["tile"]
    name, tiles_of = next(
        (name, found)
        for name, found in by_processor.items()
        if len({tuple(tile) for tile in found.values()}) > 1
    )
    width, key = name.split(" ", 1)
    asked = kernel(key, framed=False)
    for cpu, tile in tiles_of.items():
        known = findings_for(tmp_path, cpu, int(width), fresh=False)
        assert known.tile(asked) == Tile.from_list(tile)
        others = [Tile.from_list(other) for name, other in tiles_of.items() if name != cpu]
        assert set(others) <= set(known.likely_tiles(asked))


@pytest.mark.tvm
@pytest.mark.slow
@pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing")
def test_resnet50_finds_every_kernel_in_what_ships(tmp_path) -> None:
    from roofline.validate.measuring.runnable_model import make_runnable
    from roofline.validate.tvm.blocked import tile_search as search
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import Computation
    from roofline.validate.tvm.setup import load_tvm
    from roofline.validate.tvm.tuning.metaschedule import unscheduled_kernels

    target = load_tvm().target.Target({"kind": "llvm", "mcpu": "znver4", "num-cores": 1})
    made = make_runnable("resnet50", binding=Binding(1), seed=0, folder=tmp_path)
    module = import_model(Path(made.model), target, Computation("blocked")).module
    known = findings_for(tmp_path, "znver4", 16, fresh=False)
    assert search.guessed_tiles(module, known.tile) == ()
    assert len(search.guessed_tiles(module, None)) >= 20
    # Nothing is left for MetaSchedule either.
    assert unscheduled_kernels(search.schedule_blocks(module, 16, known.tile)) == ()


def test_what_is_best_elsewhere_is_likely_and_not_known(tmp_path) -> None:
    _, width, key, _ = ENTRIES[0]
    asked = kernel(key, framed=False)
    known = findings_for(tmp_path, "cascadelake", width, fresh=False)
    # One of every processor that has the kernel; where two agree, one.
    best = dict.fromkeys(
        Tile.from_list(entry["tile"]) for _, w, k, entry in ENTRIES if (w, k) == (width, key)
    )
    assert known.likely_tiles(asked) == list(best)
    assert not known.is_settled(asked)
    known.add(asked, Tile(2, 1, 1), 1e-3, 4, hurried=True)
    again = findings_for(tmp_path, "cascadelake", width, fresh=False)
    assert again.tile(asked) == Tile(2, 1, 1)
    assert again.likely_tiles(asked) == [Tile(2, 1, 1), *best]
    assert not again.is_settled(asked)
    again.add(asked, Tile(1, 1, 2), 1e-3, 14)
    assert again.is_settled(asked)
    assert (
        findings_for(tmp_path / "other", "cascadelake", width, fresh=True).likely_tiles(asked)
        == []
    )


@pytest.mark.tvm
@pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing")
@pytest.mark.parametrize(
    ("cpu", "taken"),
    [
        ("haswell", True),
        ("alderlake", True),
        ("znver3", True),
        ("skylake-avx512", False),
        ("znver4", False),
        ("nehalem", False),
    ],
)
def test_tiles_for_avx2_are_taken_where_target_flags_say_avx2_and_no_more(
    cpu, taken, tmp_path
) -> None:
    from roofline.validate.tvm.setup import lanes, load_tvm

    target = load_tvm().target.Target({"kind": "llvm", "mcpu": cpu, "num-cores": 1})
    known = findings_for(tmp_path, cpu, lanes(target), fresh=False)
    asked = [kernel(key, framed=False) for name, _, key, _ in ENTRIES if name == "x86-64-v3"]
    assert asked
    assert {known.best_known(one) is not None for one in asked} == {taken}
    # Sought in code for this processor, but not on it: to be named a guess until it is.
    assert not any(known.is_settled(one) or known.tile(one) for one in asked)


def test_two_programs_that_seek_at_the_same_time_lose_nothing(tmp_path) -> None:
    keys = list(dict.fromkeys(key for _, _, key, _ in ENTRIES))[:3]
    first, second, third = (kernel(key, framed=False) for key in keys)
    one, other = (findings_for(tmp_path, "a", 16, fresh=True) for _ in range(2))
    one.add(first, Tile(1), 1e-3, 1)
    other.add(second, Tile(2), 1e-3, 1)
    one.add(third, Tile(3), 1e-3, 1)
    kept = findings_for(tmp_path, "a", 16, fresh=True)
    assert [kept.tile(each) for each in (first, second, third)] == [Tile(1), Tile(2), Tile(3)]


@pytest.mark.parametrize(
    ("budget_s", "few", "finished", "settled", "hurried"),
    [
        (0.0, False, True, [True, True], 0),
        (1000.0, False, True, [True, True], 6),
        # The first tiles of both kernels take 6 seconds together, all of one kernel's more.
        (6.0, False, False, [True, False], 6),
        (3.0, False, False, [False, False], 6),
        # A few are enough, and without a budget no end comes before they were timed.
        (0.0, True, True, [False, False], 6),
    ],
)
def test_every_kernel_has_a_tile_before_any_has_its_best(
    budget_s, few, finished, settled, hurried, tmp_path, monkeypatch
) -> None:
    from roofline.validate.tvm.blocked import tile_search, tile_timing

    small = Kernel("blocked_conv2d", (1, 4, 8, 8, 16), (4, 3, 3, 16), "s1x1 d1x1 g1", 3, True)
    large = Kernel("blocked_conv2d", (1, 8, 16, 16, 16), (8, 3, 3, 16), "s1x1 d1x1 g1", 3, True)
    clock, tried = [0.0], []

    def timed(candidates, _target, _workers):
        tried.append([function for function, _ in candidates])
        clock[0] += len(candidates)
        return [1.0 / (1 + tile.outer) for _, tile in candidates]

    both = [("small", small, small), ("large", large, large)]
    monkeypatch.setattr(tile_search, "kernels_on_blocks", lambda _: both)
    for module in (tile_search, tile_timing):
        monkeypatch.setattr(module, "time_tiles", timed)
    monkeypatch.setattr(tile_search.time, "monotonic", lambda: clock[0])
    found = tile_search.Findings(tmp_path / "tiles.json")
    done = tile_search.search(
        None, None, found, budget_s=budget_s, workers=1, report=lambda *_: None, few=few
    )
    assert done.finished is finished
    assert [found.is_settled(one) for one in (large, small)] == settled
    assert None not in [found.tile(one) for one in (large, small)]
    if hurried:
        assert tried[0] == [large] * 3 + [small] * 3
    assert done.tried == sum(map(len, tried))
