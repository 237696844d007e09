"""Seek the tiles that come with the program again, on the processor this runs on, and write them into its file.

    python benchmarks/tvm_tiles.py mlp cnv mobilenet_v1 resnet50

Tiles of kernels that these networks do not have stay as they are. What was found is kept in the folder: a run that was
ended goes on, and networks can be added one by one. A tile's time is CPU time on one thread, so that a second program
on the machine disturbs it little; a quiet machine is better all the same, for its caches.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roofline.user_folders import cache_folder
from roofline.validate.backends.tvm import SHIPPED_TILES
from roofline.validate.measuring.compressed_model import write
from roofline.validate.measuring.measure import measure
from roofline.validate.records.compression import Compression
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.writing import write_whole

TILES = Path(__file__).parents[1] / "validate/tvm/blocked/tiles_by_processor"


def seek(network: str, datatype: str, folder: Path) -> None:
    """Tune a network with no tile known but those of this folder."""
    compression = Compression(datatypes=(datatype,) if datatype else ())
    model = network if compression.nothing else str(write(network, compression, cache_folder()))
    options = RunRequest(
        "",
        tuning=Tuning.TUNED, trials=1, compression=compression, options={SHIPPED_TILES: False},
        protocol=Protocol(runs=3, sampling_s=0.0),
    )  # fmt: skip
    record = measure(replace(options, network=model, backend="tvm"), folder=folder)
    if not record.ok:
        raise SystemExit(f"{network}: {record.reason}")
    took = f"{record.tune_s or 0:.0f} s, {len(record.untuned_kernels)} kernels untuned"
    print(f"  {network} {datatype}: {took}", file=sys.stderr)


def merged(known: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
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
    parser.add_argument("--datatype", "-d", action="append", help="int8 too: -d '' -d int8")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "tvm-tiles")
    parser.add_argument("--into", type=Path, default=TILES, help="folder of the shipped files")
    asked = parser.parse_args(given)
    for network in asked.networks:
        for datatype in asked.datatype or [""]:
            seek(network, datatype, asked.folder)
    known = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in asked.into.glob("*.json")
    }
    for cpu, widths in merged(known, asked.folder / "tvm").items():
        if widths != known.get(cpu):
            path = asked.into / f"{cpu}.json"
            write_whole(path, (json.dumps(widths, indent=1, sort_keys=True) + "\n").encode())
            print(f"{path}: {sum(map(len, widths.values()))} kernels")


if __name__ == "__main__":
    main()
