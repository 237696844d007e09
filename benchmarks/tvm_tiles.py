"""Seek the tiles that come with the program again, on the processor this runs on, and write them into its file.

    python benchmarks/tvm_tiles.py mlp cnv mobilenet_v1 resnet50
    python benchmarks/tvm_tiles.py mlp cnv mobilenet_v1 resnet50 --processor x86-64-v3

With ``--processor`` code is made for another processor, which this one must be able to run: with ``x86-64-v3``, LLVM's
name of what has AVX2 and no more, tiles for vectors of 8 are sought on a processor that has vectors of 16.

Tiles of kernels that these networks do not have stay as they are. What was found is kept in the folder: a run that was
ended goes on, and networks can be added one by one. A tile's time is CPU time on one thread, so that a second program
on the machine disturbs it little; a quiet machine is better all the same, for its caches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roofline.user_folders import cache_folder
from roofline.validate.measuring.compressed_model import write
from roofline.validate.measuring.measure import measure
from roofline.validate.records.compression import Compression
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm.tuning.program import SHIPPED_TILES
from roofline.writing import write_whole

TILES = Path(__file__).parents[1] / "validate/tvm/blocked/tiles_by_processor"


def compression_for(datatype: str) -> Compression:
    """Return what is done to a network for a datatype: nothing where none is asked for."""
    return Compression(datatypes=(datatype,) if datatype else ())


def model_of(network: str, compression: Compression) -> str:
    """Return a network, or the file with it compressed."""
    return network if compression.nothing else str(write(network, compression, cache_folder()))


def seek(network: str, datatype: str, folder: Path) -> None:
    """Tune a network with no tile known but those of this folder."""
    compression = compression_for(datatype)
    options = RunRequest(
        "",
        tuning=Tuning.TUNED, trials=1, compression=compression, options={SHIPPED_TILES: False},
        protocol=Protocol(runs=3, sampling_s=0.0),
    )  # fmt: skip
    record = measure(
        replace(options, network=model_of(network, compression), backend="tvm"), folder=folder
    )
    if not record.ok:
        raise SystemExit(f"{network}: {record.reason}")
    took = f"{record.tune_s or 0:.0f} s, {len(record.untuned_kernels)} kernels untuned"
    print(f"  {network} {datatype}: {took}", file=sys.stderr)


def seek_for(processor: str, network: str, datatype: str, folder: Path) -> None:
    """Seek the tiles of a network's kernels in code for another processor."""
    from roofline.validate.measuring.runnable_model import make_runnable
    from roofline.validate.tvm import setup
    from roofline.validate.tvm.blocked import tile_search
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import BLOCKED, Computation

    target = setup.load_tvm().target.Target({"kind": "llvm", "mcpu": processor, "num-cores": 1})
    model = make_runnable(
        model_of(network, compression_for(datatype)), seed=0, folder=cache_folder()
    ).model
    module = import_model(model, target, Computation(BLOCKED)).module
    findings = tile_search.findings_for(folder / "tvm", processor, setup.lanes(target), fresh=True)

    def report(words: str, done: int, total: int) -> None:
        print(f"  {network} {datatype} {words} ({done} of {total})", file=sys.stderr, flush=True)

    tile_search.search(
        module, target, findings, budget_s=0.0, workers=os.cpu_count() or 1, report=report
    )


def merge_tiles(known: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Return the tiles of every processor, by vector width and kernel: those found in a folder over those known.

    Args:
        known: By processor, what its file holds.
        folder: With files ``tiles-PROCESSOR-LANES.json``.
    """
    found = {cpu: dict(widths) for cpu, widths in known.items()}
    for path in sorted(folder.glob("tiles-*-*.json")):
        cpu, width = path.stem.removeprefix("tiles-").rsplit("-", 1)
        entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        widths = found.setdefault(cpu, {})
        widths[width] = {**widths.get(width, {}), **entries}
    return found


def main(given: Sequence[str] | None = None) -> None:
    """Seek, and write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument(
        "--processor", help="seek for this one, as LLVM names it, in code that runs here"
    )
    parser.add_argument("--datatype", "-d", action="append", help="int8 too: -d '' -d int8")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "tvm-tiles")
    parser.add_argument("--into", type=Path, default=TILES, help="folder of the shipped files")
    asked = parser.parse_args(given)
    for network in asked.networks:
        for datatype in asked.datatype or [""]:
            if asked.processor:
                os.environ.setdefault("TVM_NUM_THREADS", "1")
                seek_for(asked.processor, network, datatype, asked.folder)
            else:
                seek(network, datatype, asked.folder)
    known = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in asked.into.glob("*.json")
    }
    for cpu, widths in merge_tiles(known, asked.folder / "tvm").items():
        if widths != known.get(cpu):
            path = asked.into / f"{cpu}.json"
            write_whole(path, (json.dumps(widths, indent=1, sort_keys=True) + "\n").encode())
            print(f"{path}: {sum(map(len, widths.values()))} kernels")


if __name__ == "__main__":
    main()
