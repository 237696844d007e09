"""What came of mutants that `mutation.py` tried: the share that tests notice, and those that they do not.

    python -P benchmarks/mutation_report.py mutants-*.jsonl

A mutant that survives is a figure that could change unnoticed: write the test that kills it. One that changes nothing
that can be observed is named as equivalent in ``benchmarks/equivalent_mutants.csv``, with the reason.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

EQUIVALENT = Path(__file__).with_name("equivalent_mutants.csv")


def read(files: Sequence[Path]) -> list[dict[str, object]]:
    """Return what is known of mutants, the last of each that counts."""
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return list({line["name"]: line for line in lines}.values())


def main() -> None:
    """Print the share that is killed, and every survivor; exit with 1 where one survives that is not equivalent."""
    found = read([Path(name) for name in sys.argv[1:]])
    with EQUIVALENT.open(newline="") as file:
        equivalent = {row["mutant"]: row["reason"] for row in csv.DictReader(file)}
    alive = [entry for entry in found if entry["alive"]]
    missed = [entry for entry in alive if entry["name"] not in equivalent]
    parts = Counter("/".join(str(entry["path"]).split("/")[:2]) for entry in found)
    lost = Counter("/".join(str(entry["path"]).split("/")[:2]) for entry in missed)
    for part, number in sorted(parts.items()):
        sys.stdout.write(f"{part}: {number - lost[part]} of {number}\n")
    total, same = len(found), len(alive) - len(missed)
    killed = total - len(alive)
    sys.stdout.write(
        f"killed {killed} of {total - same} ({killed / max(1, total - same):.1%}); {same} equivalent\n"
    )
    for entry in missed:
        sys.stdout.write(
            f"alive: {entry['path']}:{entry['line']} {entry['operator']} {entry['changed']}  [{entry['name']}]\n"
        )
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
