"""Tables of a campaign's results: what each column means, and nothing said in every row."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from roofline.cli import main
from roofline.validate.analysis.derived import KINDS
from roofline.validate.campaigns.grid import load
from roofline.validate.records.executed import Executed
from roofline.validate.records.record import Measurement, Status, Turn
from roofline.validate.records.store import Store

CAMPAIGN = """
schema_version: 1
network: mobilenet_v1_cifar10
backend: tvm
algorithm: direct
grids:
  - {tuning: [untuned, tuned], threads: [1, 2], trials: 4}
  - {tuning: [untuned, tuned], datatype: [fp16], trials: 4}
  - {tuning: tuned, compression: {keep_channels: 0.5}, datatype: [fp32, fp16], trials: 4}
"""


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    grid, store = folder / "grid.yaml", folder / "records.db"
    grid.write_text(CAMPAIGN)
    with Store(store) as kept:
        for number, point in enumerate(load(grid).points, 1):
            asked = point.compression.datatype or point.datatype or "fp32"
            job = replace(point, datatype=asked, batch=1, algorithm="direct")
            executed = Executed(asked, emulated=asked == "fp16")
            kept.add(
                Measurement(job, Status.OK, machine="here", executed=executed, peak_rss_bytes=10**9,
                            samples_s=(number / 1e3,) * 4, turn=Turn(point.key))
            )  # fmt: skip
    return str(grid), str(store)


def results(capsys, verb, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["campaign", verb, *arguments])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_explained(files, kind, capsys):
    grid, store = files
    text = results(capsys, "results", grid, "--store", store, "--kind", kind, "--format", "json")
    document = json.loads(text)
    said = " ".join(f"{name} {meaning}" for name, meaning in document["conventions"].items())
    words = {"network", "technique", "pruning", "datatype", "backend", "batch", "threads", "machine",
             "disturbed"}  # fmt: skip
    assert document["rows"]
    for name in document["rows"][0].keys() - words:
        assert name in said or f"…_{name.partition('_')[2]}" in said, name


def test_columns_that_say_the_same_are_said_once(files, capsys):
    grid, store = files
    text = results(capsys, "results", grid, "--store", store, "--kind", "threads")
    assert "machine" not in text.splitlines()[0]
    assert "all rows: batch 1, machine here" in text
    assert "parallel_efficiency" in text.splitlines()[0]


def test_what_cannot_be_compared_is_one_line(files, capsys, tmp_path):
    grid, _ = files
    store = tmp_path / "new.db"
    Store(store).close()
    text = results(capsys, "results", grid, "--store", str(store))
    assert "none of the 0 recorded runs can be compared so" in text


def test_the_state_calls_emulation_by_its_name(files, capsys):
    grid, store = files
    text = results(capsys, "status", grid, "--store", store)
    assert "fp16 (emulated)" in text
    assert "converted" not in text
