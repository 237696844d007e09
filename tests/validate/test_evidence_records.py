"""Records of runs are evidence as a table of the same rates is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from roofline.spec import platform
from roofline.validate.evidence.figures import read_effects
from roofline.validate.records.files import export_json, import_csv
from roofline.validate.records.store import Store

RUNS = Path(__file__).parents[2] / "benchmarks" / "h200_torch.csv"


@pytest.fixture(scope="module")
def effects(tmp_path_factory):
    """What a table of rates says, written from the same runs."""
    runs = import_csv(RUNS.read_text(encoding="utf-8"))
    lines = [
        f"{run.machine},{run.job.network},{run.operands},{run.throughput_fps!r},{run.job.batch},pt-compile"
        for run in runs
    ]
    path = tmp_path_factory.mktemp("figures") / "figures.csv"
    path.write_text("machine,network,datatype,fps,batch,runtime\n" + "\n".join(lines) + "\n")
    return runs, read_effects(path, [platform("h200-sxm")])


@pytest.mark.parametrize("form", ["csv", "json", "store"])
def test_records_say_what_a_table_says(effects, form, tmp_path):
    runs, wanted = effects
    path = RUNS
    if form == "json":
        path = tmp_path / "runs.json"
        path.write_text(export_json(runs), encoding="utf-8")
    if form == "store":
        path = tmp_path / "runs.db"
        with Store(path) as store:
            for run in runs:
                store.add(run)
    found = read_effects(path, [platform("h200-sxm")])
    assert list(found) == list(wanted) == ["h200-sxm"]
    for mine, other in zip(found.values(), wanted.values(), strict=True):
        np.testing.assert_equal(asdict(mine), asdict(other))
