"""``roofline campaign``: a grid of runs from one file, recorded one by one, stopped and resumed at will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._campaign_pages import Plan, Summary, duration, hours
from roofline.cli._campaign_results import conventions, result_table, with_predictions
from roofline.cli._groups import command
from roofline.cli._measuring import FreshOption, StoreOption, TrackerOption
from roofline.cli._output import OrderOptions, ResultOptions, as_table, say
from roofline.errors import OptionError, check_known
from roofline.number_format import plural
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.validate.campaigns.grid import Campaign
    from roofline.validate.campaigns.runner import State, Task
    from roofline.validate.records.record import Measurement
    from roofline.validate.records.store import Store

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Run a grid of networks, compressions and backends from one file; resume it at any time.",
)

CampaignArgument = Annotated[
    str, typer.Argument(metavar="CAMPAIGN", help="A YAML file, or the name of a shipped campaign.")
]


@command(app, "list")
def list_campaigns(*, result: ResultOptions) -> None:
    """List the campaigns that come with the program."""
    from roofline.validate.campaigns.grid import load, shipped_campaigns

    rows: list[Record] = []
    for name in shipped_campaigns():
        campaign = load(name)
        rows.append(
            {
                "campaign": name,
                "title": campaign.title,
                "points": len(campaign.points),
                "rounds": campaign.rounds,
            }
        )
    result.emit(
        document=lambda: {"campaigns": rows}, rows=lambda: rows, table=lambda: as_table(rows)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Which runs of a campaign are made."""

    dry_run: bool = False
    """List what would be run, with an estimate; run nothing."""
    retry: list[str] | None = None
    """Run again what failed, is wrong or was disturbed; repeatable."""
    only: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE")] = None
    """Only points with this value, such as network=mlp; repeatable."""
    limit: Annotated[int, typer.Option(min=0)] = 0
    """Stop after this many runs; 0: all."""
    machine: str = ""
    """Key of this machine's platform, for the records."""


@command(app)
def run(
    *,
    campaign: CampaignArgument,
    options: RunOptions,
    tracker: TrackerOption = "",
    fresh: FreshOption = False,
    store: StoreOption = None,
    result: ResultOptions,
) -> None:
    """Run what a campaign has no record of; stop it at any time and give the same command to go on."""
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import parse_retry, state
    from roofline.validate.records.store import Store, default_store, open_for_reading

    asked = load(campaign)
    again = parse_retry(options.retry or [])

    def select_tasks(kept: Store) -> tuple[State, tuple[Task, ...]]:
        before = state(asked, kept)
        chosen = before.only(options.only or [])
        tasks = tuple(task for task in before.tasks(again) if task.point.key in chosen)
        return before, tasks[: options.limit] if options.limit else tasks

    if options.dry_run:
        with open_for_reading(store, absent_ok=True) as kept:
            plan = Plan(asked, *select_tasks(kept))
            result.emit(document=plan.document, rows=plan.rows, table=plan.table)
        return
    with Store(store or default_store()) as kept:
        before, tasks = select_tasks(kept)
        _announce(before, tasks)
        _run(asked, tasks, kept, machine=options.machine, tracker=tracker, fresh=fresh)
        after = Summary(state(asked, kept))
    result.emit(document=after.document, rows=after.rows, table=after.table)


@command(app)
def status(
    *, campaign: CampaignArgument, store: StoreOption = None, result: ResultOptions
) -> None:
    """Tell how many runs of a campaign are done, failed, disturbed and left, and why."""
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state
    from roofline.validate.records.store import open_for_reading

    asked = load(campaign)
    with open_for_reading(store) as kept:
        found = Summary(state(asked, kept))
    result.emit(document=found.document, rows=found.rows, table=found.table)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonOptions:
    """What of the runs is compared."""

    kind: str = "speedup"
    """speedup of compression, its orthogonality, threads, tuning, or memory against its prediction."""
    platform: Annotated[str | None, typer.Option("-p")] = None
    """Platform of the machine, for the speed-up that Equation 1 predicts."""
    shortest: bool = False
    """Compare shortest samples, not medians (busy machines)."""


@command(app)
def results(
    *,
    campaign: CampaignArgument,
    options: ComparisonOptions,
    store: StoreOption = None,
    order: OrderOptions,
    result: ResultOptions,
) -> None:
    """Compare the runs of a campaign with one another: expected and achieved speed-ups, scaling, memory."""
    from roofline.validate.analysis.configurations import configurations
    from roofline.validate.analysis.derived import KINDS
    from roofline.validate.campaigns.grid import load
    from roofline.validate.campaigns.runner import state
    from roofline.validate.records.store import open_for_reading

    kind = check_known(options.kind, KINDS, f"unknown kind {options.kind!r}")
    with open_for_reading(store) as kept:
        recorded = state(load(campaign), kept).records_in_order()
    found = configurations(recorded, shortest=options.shortest)
    rows = KINDS[kind](found)
    if options.platform is not None:
        if kind != "speedup":
            raise OptionError(f"--platform says nothing about {kind}", repair="Use --kind speedup")
        rows = with_predictions(rows, found, options.platform)
    rows = order.arrange(rows, rows)
    stated = conventions(kind, predicted=options.platform is not None, shortest=options.shortest)
    result.emit(
        document=lambda: {
            "campaign": campaign,
            "kind": kind,
            "conventions": stated,
            "rows": rows,
        },
        rows=lambda: rows,
        table=lambda: result_table(rows, stated, len(recorded)),
    )


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
    from roofline.validate.campaigns.running import reach_boards, run_on_boards

    numbers = {task.turn: place for place, task in enumerate(tasks, 1)}
    trackers = reach_boards(campaign, tasks, tracker)

    def tell(task: Task, record: Measurement | None) -> None:
        if record is not None:
            say(f"[{numbers[task.turn]}/{len(tasks)}] {_line(task, record)}")

    with progress(campaign.name) as bar:
        run_on_boards(
            campaign, tasks, store, trackers, machine=machine, fresh=fresh, progress=bar, report=tell
        )  # fmt: skip


def _announce(before: State, tasks: Sequence[Task]) -> None:
    """Say how long it will take before anything is run."""
    if tasks:
        say(f"{plural(len(tasks), 'run')} left, roughly {duration(hours(before, tasks))}")


def _line(task: Task, record: Measurement) -> str:
    again = f" (attempt {task.attempt})" if task.attempt > 1 else ""
    number = f" round {task.round}" if task.round > 1 else ""
    took = (
        f"{(record.median_s or 0) * 1e3:.4g} ms"
        if record.ok
        else f"{record.status.value}: {record.reason}"
    )
    return f"{task.point.title}{number}{again}: {took}"
