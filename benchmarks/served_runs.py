"""How far off estimates of many requests are on systems and servers that their law was never told of.

    python benchmarks/served_runs.py [--write docs/tokens.md]

`served_runs.csv` holds runs of Llama 2 under LMDeploy and under TensorRT-LLM of 2023, as they were published: tokens
per second of all requests, with the prompts in it. No run of these systems but the H100, and none of these servers'
versions, is in the evidence of the law.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import roofline
from roofline.decoding.phases import find_decoding
from roofline.decoding.request import Phase, Request
from roofline.markdown import markdown_table, with_section
from roofline.reading import read_csv
from roofline.serving import serve
from roofline.workloads import Decoder, DecoderNetwork

TABLE = Path(__file__).with_name("served_runs.csv")
BEGIN, END = "<!-- served table -->", "<!-- end of the served table -->"
_COMMON = {"vocabulary": 32_000, "positions": 4096, "head_size": 128}
SIZES = {
    "llama-7b": Decoder(layers=32, hidden=4096, heads=32, kv_heads=32, mlp=11_008, **_COMMON),
    "llama2-13b": Decoder(layers=40, hidden=5120, heads=40, kv_heads=40, mlp=13_824, **_COMMON),
    "llama2-70b": Decoder(layers=80, hidden=8192, heads=64, kv_heads=8, mlp=28_672, **_COMMON),
}
"""Of H. Touvron et al., Llama 2, 2023 (arXiv:2307.09288), as their configurations have them."""


@dataclass(frozen=True, slots=True)
class RunAndEstimate:
    """One run beside its estimate."""

    machine: str
    server: str
    off: float
    """Logarithm of the estimate over the measured rate."""
    inside: bool
    """Whether the 80 % interval holds the measured rate."""
    bound: float
    """The bound over the measured rate."""


def judge() -> Iterator[RunAndEstimate]:
    """Yield each run beside its estimate."""
    decoders = {
        name: find_decoding(name, DecoderNetwork(name, name, "", sizes).build())
        for name, sizes in SIZES.items()
    }
    for row in read_csv(TABLE.read_text(encoding="utf-8"), str(TABLE)).rows:
        request = Request(
            int(row["prompt_tokens"]), int(row["new_tokens"]), Phase.BOTH, int(row["devices"])
        )
        bound, found = serve(
            decoders[row["model"]], request, [roofline.platform(row["machine"])], datatypes=[row["datatype"]],
            batches=[int(row["batch"])], unheld=True,
        ).predictions  # fmt: skip
        if bound.tokens is None or found.tokens is None:
            raise SystemExit(f"{row['machine']} has no estimate")
        rate, low_high = float(row["tokens_per_s"]), found.intervals["tokens_per_s"]
        expected, most = found.tokens.tokens_per_s or 0.0, bound.tokens.tokens_per_s or 0.0
        inside = low_high[0] <= rate <= low_high[1]
        yield RunAndEstimate(
            row["machine"], row["runtime"], math.log(expected / rate), inside, most / rate
        )


def table() -> str:
    """Return the score by system and server as Markdown."""
    runs = list(judge())
    by_system: dict[str, list[RunAndEstimate]] = {}
    for run in sorted(runs, key=lambda run: (run.machine, run.server)):
        by_system.setdefault(f"`{run.machine}`, {run.server}", []).append(run)
    header = (
        "system, server", "runs", "median factor", "bias", "80 % interval holds", "bound / measured",
    )  # fmt: skip
    return markdown_table(
        header, (_cells(*entry) for entry in [*by_system.items(), ("all", runs)])
    )


def _cells(name: str, runs: list[RunAndEstimate]) -> tuple[str, ...]:
    off = [run.off for run in runs]
    held = sum(run.inside for run in runs) / len(runs)
    return (
        name, str(len(runs)), f"{math.exp(median(map(abs, off))):.2f}", f"{math.exp(median(off)):.2f}",
        f"{held:.0%}", f"{median(run.bound for run in runs):.2f}",
    )  # fmt: skip


def main() -> None:
    """Print the table, or put it between its markers on a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    page: Path | None = parser.parse_args().write
    if page is None:
        print(table())
        return
    text = with_section(page.read_text(encoding="utf-8"), f"{table()}\n", BEGIN, END)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
