"""Print the elapsed and the CPU time that a store of many records takes to be read, reported, exported and annotated.

CPU time is that of the processes that do it: what others run at the same time adds little to it.

python benchmarks/record_speed.py [--records 10000]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from roofline.child import start_python
from roofline.validate.accuracy.evaluation import Accuracy
from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.record import Check, Environment, Measurement, Status
from roofline.validate.records.request import Protocol, RunRequest
from roofline.validate.records.store import Store, open_for_reading

NETWORKS = ("mlp", "cnv", "resnet18_cifar10", "mobilenet_v1", "resnet50", "vgg16", "bert_base")
MACHINES = ("tx2:maxn", "zcu104-a53", "this-machine")
BATCHES = (1, 2, 4, 8, 16, 32, 64)


def main() -> None:
    """Fill a store and time what is done with it, each command in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=10_000)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory(prefix="roofline-") as name:
        folder = Path(name)
        path = folder / "records.db"
        with Store(path) as store:
            store.add_all(records(count))
        first = min(count, 1000)
        say(f"read {first:,} records", lambda: read(path, first))
        say(f"read {count:,} records", lambda: read(path, count))
        say("note an accuracy", lambda: note(path))
        for what, arguments in (
            ("export to CSV", ["export", str(folder / "all.csv"), "--store", str(path)]),
            ("export to JSON", ["export", str(folder / "all.json"), "--store", str(path)]),
            ("report", ["report", str(path), "-o", str(folder / "page.html")]),
        ):
            say(f"{what}, {count:,} records", lambda given=arguments: command(given))


def records(count: int) -> Iterator[Measurement]:
    """Yield records of a few networks, machines and batches, with 150 samples each."""
    chance = random.Random(0)
    for number in range(count):
        network = NETWORKS[number % len(NETWORKS)]
        middle = chance.uniform(1e-4, 1e-1)
        job = RunRequest(
            network,
            "onnxruntime",
            f"{number % 50:064x}",
            Compression(chance.choice((1.0, 1.0, 0.5))),
            batch=chance.choice(BATCHES),
            threads=1,
            protocol=Protocol(),
        )
        yield Measurement(
            job,
            Status.OK,
            machine=chance.choice(MACHINES),
            executed=Executed("fp32"),
            samples_s=tuple(chance.gauss(middle, middle / 50) for _ in range(150)),
            first_s=2 * middle,
            wall_s=150 * middle,
            cpu_s=149 * middle,
            peak_rss_bytes=chance.randrange(1 << 32),
            check=Check("onnxruntime, not optimized", 1e-7, 1e-6, 1e-3),
            environment=Environment("host", "a processor", 2, 8 << 30, load_average=0.1),
            timestamp=f"2026-01-01T00:00:00.{number:06}+00:00",
        )


def read(path: Path, count: int) -> None:
    """Read the first records of a store."""
    with open_for_reading(path) as store:
        for number, _ in enumerate(store.records(), 1):
            if number == count:
                break


def note(path: Path) -> None:
    """Note an accuracy in every record of one model in fifty."""
    with Store(path) as store:
        store.note_accuracy(Accuracy("mlp", "digits", 1797, 0.97, None, model_sha256=f"{7:064x}"))


def command(arguments: list[str]) -> None:
    """Run a command of the program."""
    with start_python("-m", "roofline", *arguments) as process:
        pass
    if process.returncode:
        raise SystemExit(process.returncode)


def say(what: str, work: Callable[[], None]) -> None:
    """Do something and print how long it took: by the clock, and on the CPU."""
    start, busy = time.perf_counter(), cpu_s()
    work()
    wall, cpu = time.perf_counter() - start, cpu_s() - busy
    sys.stdout.write(f"{what}: {wall:.2f} s, {cpu:.2f} s of CPU\n")
    sys.stdout.flush()


def cpu_s() -> float:
    """Return the CPU time of this process and of those it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


if __name__ == "__main__":
    main()
