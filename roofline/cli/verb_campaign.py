"""``roofline campaign``: a grid of runs from one file, recorded one by one, stopped and resumed at will."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli._campaign_results import MEANINGS, with_predictions, without_constant
from roofline.cli._measuring import StoreOption, TrackerOption, cells
from roofline.cli._output import (
    Format,
    FormatOption,
    OutputOption,
    as_csv,
    as_json,
    as_table,
    emit,
    say,
    together,
)
from roofline.errors import OptionError, did_you_mean
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.validate.campaigns.grid import Campaign
    from roofline.validate.campaigns.runner import State, Task
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.request import RunRequest
    from roofline.validate.records.store import Store
    from roofline.validate.tvm.boards.tracker import Tracker

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Run a grid of networks, compressions and backends from one file; resume it at any time.",
)

CampaignArgument = Annotated[
    str, typer.Argument(metavar="CAMPAIGN", help="A YAML file, or the name of a shipped campaign.")
]
MachineOption = Annotated[
    str, typer.Option("--machine", help="Key of this machine's platform, for the records.")
]


@app.command("list")
def list_campaigns(form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the campaigns that come with the program."""
    from roofline.validate.campaigns.grid import load, shipped

    rows: list[dict[str, Any]] = []
    for name in shipped():
        campaign = load(name)
        rows.append(
            {
                "campaign": name,
                "title": campaign.title,
                "points": len(campaign.points),
                "rounds": campaign.rounds,
            }
        )
    emit(_formatted(rows, {"campaigns": rows}, form), output)


@app.command("run")
def run(
    *,
    campaign: CampaignArgument,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List what would be run, with an estimate; run nothing."),
    ] = False,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            "--retry", help="Run again what failed, is wrong or was disturbed; repeatable."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME=VALUE",
            help="Only points with this value, such as network=mlp; repeatable.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Stop after this many runs; 0: all.")
    ] = 0,
    machine: MachineOption = "",
    tracker: TrackerOption = "",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Compile and tune again, whatever is kept.")
    ] = False,
    store: StoreOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Run what a campaign has no record of; stop it at any time and give the same command to go on."""
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import parse_retry, state
    from roofline.validate.records.store import Store, default_store, reading

    wanted = load(campaign)
    again = parse_retry(retry or [])

    def left(kept: Store) -> tuple[State, tuple[Task, ...]]:
        before = state(wanted, kept)
        chosen = before.only(only or [])
        tasks = tuple(task for task in before.tasks(again) if task.point.key in chosen)
        return before, tasks[:limit] if limit else tasks

    if dry_run:
        with reading(store, absent_ok=True) as kept:
            emit(_planned(wanted, *left(kept), form), output)
        return
    with Store(store or default_store()) as kept:
        before, tasks = left(kept)
        _announce(before, tasks)
        _run(wanted, tasks, kept, machine=machine, tracker=tracker, fresh=fresh)
        after = state(wanted, kept)
    emit(_summary(after, form), output)


@app.command("status")
def status(
    *,
    campaign: CampaignArgument,
    store: StoreOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Tell how many runs of a campaign are done, failed, disturbed and left, and why."""
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state
    from roofline.validate.records.store import reading

    wanted = load(campaign)
    with reading(store) as kept:
        found = state(wanted, kept)
    emit(_summary(found, form), output)


@app.command("results")
def results(
    *,
    campaign: CampaignArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="speedup of compression, its orthogonality, threads, tuning, or memory against its prediction.",
        ),
    ] = "speedup",
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            "-p",
            help="Platform of the machine, for the speed-up that Equation 1 predicts.",
        ),
    ] = None,
    shortest: Annotated[
        bool,
        typer.Option("--shortest", help="Compare shortest samples, not medians (busy machines)."),
    ] = False,
    store: StoreOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Compare the runs of a campaign with one another: expected and achieved speed-ups, scaling, memory."""
    from roofline.validate.analysis.configurations import KINDS, configurations
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state
    from roofline.validate.records.store import reading

    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"Known: {', '.join(KINDS)}"
        raise OptionError(f"unknown kind {kind!r}", repair=hint)
    with reading(store) as kept:
        recorded = state(load(campaign), kept).recorded()
    found = configurations(recorded, shortest=shortest)
    rows = KINDS[kind](found)
    if platform is not None:
        if kind != "speedup":
            raise OptionError(f"--platform says nothing about {kind}", repair="Use --kind speedup")
        rows = with_predictions(rows, found, platform)
    time = "the shortest sample of all rounds" if shortest else "the median of the rounds' medians"
    conventions = {"time": time} if kind != "memory" else {}
    conventions |= MEANINGS[kind]
    if platform is None:
        conventions.pop("predicted_speedup", None)
    document = {"campaign": campaign, "kind": kind, "conventions": conventions, "rows": rows}
    if form is Format.TABLE:
        rows, same = without_constant(rows)
        notes = [f"{name}: {text}" for name, text in same.items()]
        explained = [f"{name}: {text}" for name, text in conventions.items()]
        none = f"none of the {len(recorded)} recorded runs can be compared so"
        emit(
            as_table(rows, notes=notes if rows else [none], explained=explained if rows else []),
            output,
        )
        return
    emit(_formatted(rows, document, form), output)


CONVENTIONS = {
    "time": "the first run is discarded; the median of the rest is the time of a whole batch",
    "record": "the last attempt of every round of every point",
    "disturbed": "others took the CPU, the run waited, or it drifted more than 10 % within itself or between rounds",
}
"""The conventions of every figure of a campaign."""


def _run(
    campaign: Campaign,
    tasks: Sequence[Task],
    store: Store,
    *,
    machine: str,
    tracker: str,
    fresh: bool,
) -> None:
    from roofline.cli._progress import progress
    from roofline.user_folders import cache_folder
    from roofline.validate.campaigns.fleet import board_measure, spread
    from roofline.validate.campaigns.runner import local_measure, run_tasks
    from roofline.validate.tvm.boards.tracker import use_tracker

    numbers = {task.turn: place for place, task in enumerate(tasks, 1)}
    trackers = _trackers(campaign, tasks, tracker)

    def tell(task: Task, record: Measurement | None) -> None:
        if record is not None:
            say(f"[{numbers[task.turn]}/{len(tasks)}] {_line(task, record)}")

    with progress(campaign.name) as bar:
        local = [task for task in tasks if task.point.target == "local"]
        run_tasks(
            local, store, local_measure(machine=machine, fresh=fresh, report=bar), report=tell
        )
        for name, place in trackers.items():
            board = campaign.boards[name]
            use_tracker(place)
            there = [task for task in tasks if task.point.target == name]
            run_point = board_measure(board, cache_folder(), fresh=fresh)
            spread(there, store, run_point, place, board.key, report=tell)


def _hours(before: State, tasks: Sequence[Task]) -> float:
    """Return an estimate of how long runs take, in hours."""
    from roofline.validate.campaigns.estimate import estimate

    known = [(point, record) for point, _, record in before.runs() if record is not None]
    return estimate([task.point for task in tasks], known) / 3600 if tasks else 0.0


def _announce(before: State, tasks: Sequence[Task]) -> None:
    """Say how long it will take before anything is run."""
    if tasks:
        say(f"{plural(len(tasks), 'run')} left, roughly {_duration(_hours(before, tasks))}")


def _trackers(campaign: Campaign, tasks: Sequence[Task], tracker: str) -> dict[str, Tracker]:
    """Return the tracker of every board that is used, each checked before anything is run."""
    from roofline.validate.tvm.boards.tracker import parse_tracker

    found: dict[str, Tracker] = {}
    for name in dict.fromkeys(task.point.target for task in tasks):
        if name == "local":
            continue
        board = campaign.boards[name]
        address = tracker or board.tracker
        if not address:
            raise OptionError(
                f"the board {name!r} needs its tracker", repair="Add --rpc-tracker HOST:PORT"
            )
        found[name] = parse_tracker(address)
        found[name].check(board.key)
    return found


def _line(task: Task, record: Measurement) -> str:
    again = f" (attempt {task.attempt})" if task.attempt > 1 else ""
    number = f" round {task.round}" if task.round > 1 else ""
    took = (
        f"{(record.median_s or 0) * 1e3:.4g} ms"
        if record.ok
        else f"{record.status.value}: {record.reason}"
    )
    return f"{task.point.title}{number}{again}: {took}"


def _planned(campaign: Campaign, before: State, tasks: Sequence[Task], form: Format) -> str:
    from roofline.validate.campaigns.grid import point_row

    rows = [
        {**point_row(task.point), "round": task.round, "attempt": task.attempt} for task in tasks
    ]
    hours = _hours(before, tasks)
    same = campaign.combinations - campaign.excluded - len(campaign.points)
    document = {
        "campaign": campaign.name,
        "combinations": campaign.combinations,
        "excluded": campaign.excluded,
        "same": same,
        "points": len(campaign.points),
        "rounds": campaign.rounds,
        "recorded": len(before.recorded()),
        "runs": len(tasks),
        "estimate_h": hours,
        "tasks": rows,
    }
    notes = [
        f"{plural(campaign.combinations, 'combination')}: {campaign.excluded} excluded by rules, {same} the same "
        f"as another for their backend, {plural(len(campaign.points), 'point')} in {plural(campaign.rounds, 'round')}",
        f"{plural(len(tasks), 'run')} left, roughly {_duration(hours)}",
    ]
    return _formatted(rows, document, form, title=campaign.title, notes=notes)


def _summary(found: State, form: Format) -> str:
    from roofline.validate.campaigns.grid import point_row

    campaign = found.campaign
    counts = found.counts()
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for point, number, record in found.runs():
        if record is None:
            continue
        flag = found.disturbed(point, number)
        rows.append({**point_row(point), "round": number, **record.to_row(), "disturbed": flag})
        if record.reason:
            notes.append(f"{point.title}: {record.status.value}: {record.reason}")
        elif flag:
            notes.append(f"{point.title}: {flag}")
    if form is Format.JSON:
        return as_json(
            {
                "campaign": campaign.name,
                "conventions": CONVENTIONS,
                "runs": len(campaign),
                **counts,
                "records": rows,
            }
        )
    if form is Format.CSV:
        return as_csv(rows)
    shown = [_cells(point, record) for point, _, record in found.runs() if record is not None]
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return as_table(
        shown,
        title=f"{campaign.name}: {plural(len(campaign), 'run')}: {parts}",
        notes=together(notes),
    )


def _cells(point: RunRequest, record: Measurement) -> dict[str, Any]:
    row = cells(record)
    kept = {name: row[name] for name in ("batch", "threads", "fps", "median ms", "status")}
    emulated = " (emulated)" if record.emulated else ""
    return {
        "network": row["network"],
        "compression": point.compression.label,
        "algorithm": point.algorithm,
        "backend": row["backend"],
        "datatype": f"{record.asked}{emulated}",
        **kept,
    }


def _formatted(
    rows: list[dict[str, Any]], document: dict[str, Any], form: Format, *, title: str = "",
    notes: Sequence[str] = (),
) -> str:  # fmt: skip
    if form is Format.JSON:
        return as_json(document)
    if form is Format.CSV:
        return as_csv(rows)
    return as_table(rows, title=title, notes=notes)


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"
