"""A folder in which every verb has something to work on, and the process that runs them there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from roofline import workloads
from roofline.child import start_python

from .verbs import VERBS

CAMPAIGN = """
schema_version: 1
network: [mlp_12_5]
backend: [onnxruntime]
threads: [1]
protocol: {runs: 2, sampling_s: 0.05}
"""
SWEEP = """
schema_version: 1
network: [mlp_12_5]
platform: ["tx2:maxn"]
"""
RATES = "platform,network,datatype,batch,fps\ntx2:maxn,resnet50,fp16,1,100\n"
RUNS = RATES.replace("fps", "measured_fps")
SHORT = ("--backend", "onnxruntime", "--runs", "2", "--sampling-s", "0.05", "--store", "{new}.db")

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "demo": ("--minutes", "1", "-o", "{new}-folder"),
    "networks new": ("mine",),
    "networks export": ("mlp_12_5", "-o", "{new}.onnx"),
    "platforms show": ("tx2:maxn",),
    "platforms new": ("mine",),
    "platforms docs": ("{new}.md",),
    "platforms conflicts": ("{new}.md",),
    "predict": ("mlp_12_5", "-p", "tx2:maxn"),
    "compress": ("mlp_12_5", "--keep-channels", "0.5", "-o", "{new}.onnx"),
    "sweep": ("{sweep}",),
    "advise": ("mlp_12_5", "--min-fps", "30", "-p", "tx2:maxn,h100-sxm"),
    "measure": ("mlp_12_5", *SHORT),
    "validate": ("mlp_12_5", "-p", "tx2:maxn", *SHORT),
    "campaign run": ("{campaign}", "--store", "{new}.db"),
    "campaign status": ("{campaign}", "--store", "{store}"),
    "campaign results": ("{campaign}", "--store", "{store}"),
    "calibrate": ("--seconds", "0.5", "--threads", "1", "--backend", "none", "-o", "{new}.yaml"),
    "score": ("{rates}",),
    "accuracy": ("{model}", "--data", "{data}"),
    "import": ("{runs}", "--store", "{new}.db"),
    "export": ("{new}.csv", "--store", "{store}"),
    "plot": ("roofline", "--platform", "tx2:maxn", "-o", "{new}.svg"),
    "report": ("{store}", "-o", "{new}.html"),
    "reproduce": ("turner",),
    "schema": ("predict",),
}  # fmt: skip


def longest_flag(parameter: Any) -> str:
    return max(parameter.opts, key=len)


@dataclass(frozen=True)
class Answer:
    """What a verb returned and wrote; no code where it went on until it was ended."""

    code: int | None
    out: str
    err: str


class Desk:
    """Where verbs are run: a folder with something for each kind of argument, and the process that forks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = start_python(
            str(Path(__file__).with_name("verb_server.py")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        (folder / "campaign.yaml").write_text(CAMPAIGN)
        (folder / "sweep.yaml").write_text(SWEEP)
        (folder / "rates.csv").write_text(RATES)
        (folder / "runs.csv").write_text(RUNS)
        onnx.save(workloads.build("mlp_12_5", weights="random"), folder / "model.onnx")
        np.savez(
            folder / "data.npz", x=np.zeros((2, 1, 28, 28), "float32"), y=np.zeros(2, "int64")
        )
        names = (
            "campaign.yaml",
            "sweep.yaml",
            "rates.csv",
            "runs.csv",
            "model.onnx",
            "store.db",
            "data.npz",
        )
        self._places = {Path(name).stem: str(folder / name) for name in names}
        stored = self.run("import", self._places["runs"], "--store", self._places["store"])
        assert stored.code == 0, stored

    def words(self, verb: str) -> list[str]:
        """Return a command line of a verb that has something to do."""
        number = len(list(self.folder.iterdir()))
        places = {**self._places, "new": str(self.folder / f"new{number}")}
        given = ARGUMENTS.get(verb)
        if given is None:
            given = tuple(_filled(VERBS[verb]))
        return [*verb.split(), *(word.format_map(places) for word in given)]

    def run(self, *words: str, **case: Any) -> Answer:
        """Run a command line; see `verb_server._prepare` for the rest of the case."""
        home = {"HOME": str(self.folder), "ROOFLINE_CACHE": str(self.folder / "cache")}
        variables = {
            **home,
            "XDG_DATA_HOME": str(self.folder / "data"),
            **case.pop("variables", {}),
        }
        case = {"cwd": str(self.folder), **case, "words": words, "variables": variables}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(case) + "\n")
        self._server.stdin.flush()
        return Answer(**json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._server.communicate()


def _filled(command: Any) -> Iterator[str]:
    """Return something for each argument and flag that a verb cannot do without."""
    for parameter in command.params:
        if not parameter.required:
            continue
        if parameter.param_type_name == "option":
            yield longest_flag(parameter)
        yield {"path": "{new}", "--platform": "tx2:maxn"}.get(
            parameter.type.name,
            "tx2:maxn" if "PLATFORM" in parameter.human_readable_name.upper() else "mlp_12_5",
        )


def check(answer: Answer, *, silent: bool = False) -> None:
    """Hold an answer to what every answer must be: done, or one clear line and exit code 2.

    Args:
        answer: What a verb returned and wrote.
        silent: Standard error cannot be read, so the code alone tells.
    """
    assert answer.code in (0, 1, 2), answer
    assert "Traceback" not in answer.err, answer.err
    if answer.code == 2 and not silent:
        lines = answer.err.splitlines()
        assert len(lines) == 1, answer.err
        assert lines[0].startswith("roofline: error: "), answer.err
        assert len(lines[0]) < 1200
        assert answer.out == ""
