"""Count and compress mutated models, in bounded time and memory: a result or one clear line, never a traceback.

Run by hand for as many as one likes; the same seed and number give the same model again:

    python tests/fuzz/mutated_models.py --count 100000 --seed 7
    python tests/fuzz/mutated_models.py --only 1234 --seed 7
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import onnx

import roofline
from roofline.cli._counting import document
from roofline.cli._output import as_json
from roofline.compression_flags import request
from roofline.errors import RooflineError

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from tests.fuzz.mutations import mutated

SECONDS = 5
"""Processor time that one model may take."""
MEMORY_BYTES = 3 << 29
"""Address space that may be added while models are counted."""
ROUND = 500
"""Models that one process handles: what it takes from the machine ends with it."""
FLAGS: tuple[dict[str, Any], ...] = (
    {"keep_channels": ["0.5"]}, {"sparsity": ["0.9"]}, {"datatype": ["int8"]},
    {"keep_channels": ["0.25"], "datatype": ["w4a8"]}, {"sparsity": ["0.5"], "sparse_format": "2:4"},
    {"keep_channels": ["0.7"], "sparsity": ["0.5"], "sparse_format": "csr"}, {"datatype": ["fp16", "first=fp32"]},
)  # fmt: skip
"""What half of the models are counted under."""
WRITTEN: tuple[dict[str, Any], ...] = (
    {"keep_channels": ["0.5"]}, {"sparsity": ["0.5"]}, {"datatype": ["w8a16"]}, {"datatype": ["w4a16"]},
    {"datatype": ["ternary"]}, {"datatype": ["bf16"]},
)  # fmt: skip
"""What one model in ten is written under."""


class TooLong(BaseException):
    """A model took more than its processor time; nothing on the way may take it for an ordinary error."""


@dataclass
class Tally:
    """What came of the models so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    """For each place where something failed: the first model's number, and the traceback."""

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.faults = other.faults | self.faults


def seeds(*, all_operators: bool) -> list[bytes]:
    """Return the models that are mutated: graphs of a few calls.

    Args:
        all_operators: With ONNX's own models of every operator, which take ten seconds to make.
    """
    from tests.conformance import test_operators, test_published, test_shapes, test_weights

    modules = (test_operators, test_published, test_shapes, test_weights)
    found = [case.build().SerializeToString() for module in modules for case in module.CASES]
    if all_operators:
        from onnx.backend.test.loader import load_model_tests

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some overflow or divide by zero on purpose
            found += [case.model.SerializeToString() for case in load_model_tests(kind="node")]
    return [content for content in found if len(content) < 40_000]


def model(contents: Sequence[bytes], seed: int, number: int) -> tuple[bytes, random.Random]:
    """Return a mutated model, and the dice that choose its flags."""
    dice = random.Random(f"{seed}:{number}")
    return mutated(dice.choice(contents), dice), dice


def one_line(error: RooflineError) -> None:
    """Refuse a message of several lines."""
    if "\n" in str(error):
        raise AssertionError(str(error))


def attempt(content: bytes, dice: random.Random, path: Path) -> str:
    """Count one model, half of them compressed, and return what came of it.

    Raises:
        Exception: What no error of the program's own says.
    """
    path.write_bytes(content)
    flagged = dice.random() < 0.5
    try:
        workload = roofline.load(path)
        as_json(document(workload, fused=True))
    except RooflineError as error:
        one_line(error)
        return "refused, flags given" if flagged else "refused"
    if not flagged:
        return "counted"
    try:
        as_json(document(request(**dice.choice(FLAGS)).under(workload), fused=True))
        if dice.random() < 0.2:
            from roofline.compress import compress
            from roofline.compress.tensors import read_whole

            compress(read_whole(path), request(**dice.choice(WRITTEN)))
            return "written"
    except RooflineError as error:
        one_line(error)
        return "compression refused"
    return "compressed"


def _stop(signum: int, frame: FrameType | None) -> None:
    raise TooLong


def trial(contents: Sequence[bytes], seed: int, number: int, path: Path, tally: Tally) -> None:
    """Handle one model and note what came of it."""
    content, dice = model(contents, seed, number)
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        outcome = attempt(content, dice, path)
    except (Exception, TooLong) as error:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        frames = traceback.extract_tb(error.__traceback__)
        last = ([frame for frame in frames if "roofline" in frame.filename] or frames)[-1]
        where = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} {last.name}"
        tally.faults.setdefault(where, (number, "".join(traceback.format_exception(error)[-12:])))
        outcome = "fault"
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    tally.outcomes[outcome] += 1


def run(contents: Sequence[bytes], seed: int, numbers: Sequence[int]) -> Tally:
    """Handle some models in this process."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in numbers:
            trial(contents, seed, number, Path(folder) / "model.onnx", tally)
    return tally


def _apart(contents: Sequence[bytes], seed: int, numbers: range) -> Tally:
    """Handle some models in a process with bounded memory; one that ends or hangs is a fault too."""
    context = multiprocessing.get_context("fork")
    results, at = context.SimpleQueue(), context.Value("q", numbers.start)

    def work() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
        tally = Tally()
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number in numbers:
                at.value = number
                trial(contents, seed, number, Path(folder) / "model.onnx", tally)
        results.put((tally.outcomes, tally.faults))

    process = context.Process(target=work)
    process.start()
    process.join(len(numbers) * SECONDS)
    if process.exitcode == 0 and not results.empty():
        return Tally(*results.get())
    process.kill()
    process.join()
    why = f"process ended with {process.exitcode}"
    return Tally(Counter(fault=1), {why: (at.value, why)})


def show(text: str) -> None:
    """Write a line at once, so that a run that is cut short has said what it found."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many models")
    parser.add_argument("--first", type=int, default=0, help="number of the first model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="write this model to --keep and handle it alone")
    parser.add_argument("--keep", type=Path, default=Path("mutated.onnx"))
    asked = parser.parse_args()
    contents = seeds(all_operators=True)
    if asked.only is not None:
        content, dice = model(contents, asked.seed, asked.only)
        asked.keep.write_bytes(content)
        show(onnx.printer.to_text(onnx.ModelProto.FromString(content)))
        show(attempt(content, dice, asked.keep))
        return 0
    total, last = Tally(), asked.first + asked.count
    for start in range(asked.first, last, ROUND):
        before = set(total.faults)
        total.add(_apart(contents, asked.seed, range(start, min(start + ROUND, last))))
        for where in total.faults.keys() - before:
            number, text = total.faults[where]
            show(f"model {number} of seed {asked.seed}: {where}\n{text}")
        show(f"{sum(total.outcomes.values()):,} models: {dict(total.outcomes)}")
    show(f"{len(total.faults)} places failed")
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(main())
