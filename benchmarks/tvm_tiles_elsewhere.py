"""What tiles that were sought on this processor gain over those of another one, and over the first guess.

    python benchmarks/tvm_tiles_elsewhere.py cnv mobilenet_v1 --write docs/tvm.md

Every kernel on blocks for which a tile was sought here (or on a processor of the same name: tiles that ship) is timed
with that tile, with the one that ships for another processor with vectors of the same width where there is one, and
with the first guess: CPU time on one thread. Sums are over a network's kernels, each as often as it is called.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from datetime import date
from pathlib import Path

from tvm_ladder import into_page

from roofline.markdown import markdown_table
from roofline.user_folders import cache_folder

ROUNDS = 2
"""Times that every tile is built and timed; the shortest counts."""


def row(network: str, of: str) -> list[str]:
    """Return a line of the table."""
    from roofline.validate.measuring.runnable_model import make_runnable
    from roofline.validate.tvm import setup
    from roofline.validate.tvm.blocked import tile_search
    from roofline.validate.tvm.blocked.schedules import kernel_calls
    from roofline.validate.tvm.blocked.tile_timing import seconds_of
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import BLOCKED, Computation

    target = setup.local_target(setup.load_tvm(), 1)
    folder = cache_folder()
    cpu, lanes = str(target.attrs["mcpu"]), setup.lanes(target)
    here = tile_search.findings_for(folder / "tvm", cpu, lanes, fresh=False)
    other = tile_search.findings_for(Path(os.devnull), of, lanes, fresh=False)
    model = make_runnable(network, seed=0, folder=folder).model
    module = import_model(model, target, Computation(BLOCKED)).module
    calls = kernel_calls(module)
    totals: dict[str, float] = {"here": 0.0, "elsewhere": 0.0, "guess": 0.0}
    count = same = 0
    for name, kernel, function in tile_search.kernels_on_blocks(module):
        found, elsewhere = here.tile(kernel), other.tile(kernel)
        if found is None or elsewhere is None:
            continue
        tiles = {
            "here": found,
            "elsewhere": elsewhere,
            "guess": tile_search.first_guess(kernel),
        }
        best = dict.fromkeys(tiles.values(), math.inf)
        for _ in range(ROUNDS):
            timed = seconds_of(function, list(best), target, workers=1)
            best = {tile: min(best[tile], timed[tile]) for tile in best}
        for which, tile in tiles.items():
            totals[which] += calls[name] * best[tile]
        count += 1
        same += found == elsewhere
        print(f"  {network} {kernel.key}: {best}", file=sys.stderr, flush=True)
    sought = totals["here"]
    others_ms = [
        f"{1e3 * totals[which]:.3g} ({totals[which] / sought - 1:+.1%})" if sought else ""
        for which in ("elsewhere", "guess")
    ]
    of_all = f"{count} of {len(tile_search.kernels_on_blocks(module))}"
    return [network, of_all, str(same), f"{1e3 * sought:.3g}", *others_ms]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument(
        "--of", default="znver4", metavar="PROCESSOR", help="whose tiles are tried here"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to write the table into")
    return parser.parse_args(given)


def main() -> None:
    """Time the tiles and write the table."""
    os.environ.setdefault("TVM_NUM_THREADS", "1")
    given = arguments()
    from roofline.validate.measuring.environment import describe

    header = [
        "network", "kernels with both tiles", "same tile", "sought here, ms", f"tiles of {given.of}, ms",
        "first guess, ms",
    ]  # fmt: skip
    rows = [row(network, given.of) for network in given.networks]
    text = (
        f"{describe({}, None, None).cpu}, {date.today().isoformat()}, CPU time on one thread.\n\n"
        f"{markdown_table(header, rows, numbers_from=1)}\n"
    )
    print(text)
    if given.write:
        into_page(given.write, "tiles elsewhere", text)


if __name__ == "__main__":
    main()
