"""Campaigns: a grid of networks, compressions and ways to run them, written in one YAML file.

A campaign is expanded to points in the order of its file. A point's key is a digest of what is asked for and of nothing
else, so that a campaign that was stopped goes on where it was, today or on another day.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.errors import NetworkError, OptionError, check_known, did_you_mean
from roofline.number_format import plural
from roofline.tables import Record
from roofline.validate.measuring.backend import Backend, backends
from roofline.validate.records.compression import Compression
from roofline.validate.records.request import TRIALS, Protocol, RunRequest
from roofline.validate.records.tuning import Tuning
from roofline.validate.tvm.boards.target import parse_target
from roofline.validate.tvm.boards.tracker import parse_tracker

if TYPE_CHECKING:
    from roofline.validate.campaigns.schema import CampaignFile, Grid, Rule
    from roofline.validate.campaigns.schema import Compression as Asked

_SHIPPED = Path(__file__).parent

MAX_COMBINATIONS = 100_000
"""The most combinations a campaign may have: at a few seconds a run they take days."""

_AXES = ("network", "compression", "datatype", "backend", "algorithm", "tuning", "batch",
         "threads", "target")  # fmt: skip
"""The axes in the order they are gone through, the slowest first."""


@dataclass(frozen=True, slots=True)
class Board:
    """Boards that share a key of an RPC tracker."""

    name: str
    key: str
    tracker: str = ""
    target: str = ""


def point_row(point: RunRequest) -> Record:
    """Return what tells a point of a campaign from the others."""
    return {
        "network": Path(point.network).stem,
        "compression": point.compression.label,
        "datatype": point.compression.datatype or "as stored",
        "backend": point.backend,
        "algorithm": point.algorithm,
        "tuning": point.tuning,
        "batch": point.batch,
        "threads": point.threads,
        "target": point.target,
    }


@dataclass(frozen=True, slots=True)
class Campaign:
    """Points to be measured, in order, and how often."""

    name: str
    title: str
    points: tuple[RunRequest, ...]
    rounds: int = 1
    boards: Mapping[str, Board] = field(default_factory=dict[str, Board])
    combinations: int = 0
    """How many combinations the grids have, those excluded and those that are the same included."""
    excluded: int = 0
    """How many were left out: by rules, or because their backend does not run on boards."""

    def __len__(self) -> int:
        """Return how many runs there are: points times rounds."""
        return len(self.points) * self.rounds


def shipped_campaigns() -> tuple[str, ...]:
    """Return the names of the campaigns that come with the program."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def load(campaign: str | Path) -> Campaign:
    """Read a campaign and expand it.

    Args:
        campaign: Path of a YAML file, or the name of a shipped campaign.

    Raises:
        OptionError: The file cannot be read, breaks the schema, or names what does not exist.
        NetworkError: A network is neither shipped nor a file.
        MeasurementError: A backend is unknown.

    Example:
        >>> "dlas" in shipped_campaigns()
        True
    """
    from roofline.validate.campaigns.schema import read

    path = _find(campaign)
    document = read(path)
    boards = _boards(document, path)
    found: dict[str, RunRequest] = {}
    combinations = excluded = 0
    rules = [_chosen_axes(rule) for rule in document.exclude]
    grids = document.grids or [document]
    _check_rules(path, rules, grids, document)
    _check_size(path, grids, document)
    for number, grid in enumerate(grids):
        where = f"{path}: grids[{number}]" if document.grids else str(path)
        for values in _combinations(grid, document, where):
            combinations += 1
            if any(all(values[name] in wanted for name, wanted in rule.items()) for rule in rules):
                excluded += 1
                continue
            _check_target(values["target"], boards, where)
            if values["target"] != "local" and not _board_backend(values):
                excluded += 1
                continue
            point = _point(values, grid, document, path.parent, where)
            found.setdefault(point.key, point)
    return Campaign(
        document.name or path.stem, document.title, tuple(found.values()), document.rounds, boards,
        combinations, excluded,
    )  # fmt: skip


def _check_size(path: Path, grids: Sequence[Grid], document: CampaignFile) -> None:
    """Refuse a campaign that could not be gone through in a lifetime, before it is expanded."""
    size = sum(
        len(grid.network or document.network or ())
        * math.prod(len(_axis(name, grid, document)) for name in _AXES if name != "network")
        for grid in grids
    )
    if size > MAX_COMBINATIONS:
        raise OptionError(
            f"{path} has {plural(size, 'combination')}; a campaign has at most {MAX_COMBINATIONS:,}",
            repair="Leave out values of an axis, or write several campaigns",
        )


def _find(campaign: str | Path) -> Path:
    path = Path(campaign)
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return path
    if str(campaign) in shipped_campaigns():
        return _SHIPPED / f"{campaign}.yaml"
    hint = did_you_mean(str(campaign), shipped_campaigns())
    hint = hint or f"Give a YAML file, or one of: {', '.join(shipped_campaigns())}"
    raise OptionError(f"no campaign is called {str(campaign)!r}", repair=hint)


def _boards(document: CampaignFile, path: Path) -> dict[str, Board]:
    """Return the boards; an address or a processor that cannot be read is an error before any run."""
    found: dict[str, Board] = {}
    for name, board in document.boards.items():
        try:
            if board.tracker:
                parse_tracker(board.tracker)
            if board.target:
                parse_target(board.target, 1)
        except OptionError as error:
            raise OptionError(
                f"{path}: boards: {name}: {error.message}", repair=error.repair
            ) from error
        found[name] = Board(name, board.key or name, board.tracker, board.target)
    return found


Values = Mapping[str, Any]


def _axis(name: str, grid: Grid, document: Grid) -> list[Any]:
    """Return an axis's values: the grid's own, else the file's, else one that is the default."""
    from roofline.validate.campaigns.schema import Compression as Asked

    own = getattr(grid, name)
    values = own if own is not None else getattr(document, name)
    if values is not None:
        return list(values)
    defaults: dict[str, Any] = {
        "compression": Asked(), "datatype": "", "backend": "tvm", "algorithm": "default",
        "tuning": "", "batch": 1, "threads": 1, "target": "local",
    }  # fmt: skip
    return [defaults[name]]


def _combinations(grid: Grid, document: CampaignFile, where: str) -> Iterator[Values]:
    if grid.network is None and document.network is None:
        raise OptionError(f"{where}: no network is named", repair="Add network: [resnet50_v15]")
    axes = [_axis(name, grid, document) for name in _AXES]
    for values in product(*axes):
        yield dict(zip(_AXES, values, strict=True))


def _point(
    values: Values, grid: Grid, document: CampaignFile, folder: Path, where: str
) -> RunRequest:
    def scalar(name: str, default: Any) -> Any:
        own = getattr(grid, name)
        common = getattr(document, name)
        return own if own is not None else common if common is not None else default

    name = values["backend"] if values["target"] == "local" else _board_backend(values)
    name = backends.name_of(name)
    backend = backends.get(name)
    tuning = _tuning(values, backend, where)
    tuned = tuning is Tuning.TUNED
    network, source = _network(values["network"], folder, where)
    compression: Asked = values["compression"]
    timing = document.protocol
    datatype = _datatype(values["datatype"], where)
    return RunRequest(
        network,
        name,
        source,
        Compression(
            compression.keep_channels or 1.0,
            sparsity=compression.sparsity or 0.0,
            sparse_format=_sparse_format(compression, backend, where),
            datatypes=(datatype,) if datatype else (),
        ),
        algorithm=backend.capabilities.choose_algorithm(
            values["algorithm"],
            f"{where}: {backend.title} has no algorithm {values['algorithm']!r}",
        ),
        tuning=tuning,
        trials=scalar("trials", TRIALS) if tuned else 0,
        tuning_budget_s=scalar("budget_s", 0.0) if tuned else 0.0,
        batch=values["batch"],
        threads=values["threads"],
        target=values["target"],
        dims=scalar("dims", {}),
        options=scalar("options", {}),
        protocol=Protocol(
            timing.runs, timing.warmup, timing.sampling_s, timing.time_limit_s,
            round(timing.memory_limit_gb * 1e9), timing.seed,
        ),
    )  # fmt: skip


def _board_backend(values: Values) -> str:
    """Return the backend that runs on boards what another runs here; empty where there is none."""
    return backends.get(values["backend"]).capabilities.board_backend


def _tuning(values: Values, backend: Backend, where: str) -> Tuning:
    asked = values["tuning"]
    if not asked or not backend.capabilities.has_tunings:
        return backend.capabilities.tunings[0]
    unknown = f"{where}: {values['backend']} has no tuning {asked!r}"
    return Tuning.of(check_known(asked, backend.capabilities.tunings, unknown))


def _sparse_format(compression: Asked, backend: Backend, where: str) -> str:
    from roofline.compress.formats import formats

    asked = compression.sparse_format
    asked = check_known(asked, formats, f"{where}: unknown sparse format {asked!r}")
    # A backend that multiplies by stored zeros runs the same program whatever the format.
    sparse = backend.capabilities.sparse_formats
    return asked if compression.sparsity and asked in sparse else "dense"


def _datatype(asked: str, where: str) -> str:
    from roofline.compress.quantization import parse_datatypes
    from roofline.errors import RooflineError

    if asked:
        try:
            parse_datatypes([asked])
        except RooflineError as error:
            raise OptionError(f"{where}: {error.message}", repair=error.repair) from error
    return asked


def _network(asked: str, folder: Path, where: str) -> tuple[str, str]:
    from roofline import workloads

    shipped = workloads.networks.find_in_any_case(asked)
    if shipped is not None:
        return shipped.key, ""
    path = folder / asked
    if path.is_file():
        return str(path), hashlib.sha256(path.read_bytes()).hexdigest()
    if Path(asked).suffix:
        raise NetworkError(f"{where}: {path} does not exist")
    hint = did_you_mean(asked, workloads.networks) or "List them: roofline networks list"
    raise NetworkError(f"{where}: no network is called {asked!r}", repair=hint)


def _check_target(target: str, boards: Mapping[str, Board], where: str) -> None:
    if target != "local" and target not in boards:
        hint = did_you_mean(target, ["local", *boards])
        hint = hint or f"Describe it under boards: {target}: {{key: ..., tracker: ...}}"
        raise OptionError(f"{where}: no board is called {target!r}", repair=hint)


def _chosen_axes(rule: Rule) -> dict[str, list[Any]]:
    return {name: values for name in _AXES if (values := getattr(rule, name)) is not None}


def _check_rules(
    path: Path, rules: list[dict[str, list[Any]]], grids: list[Any], document: CampaignFile
) -> None:
    """Refuse a rule that names what no grid has: it is a misspelling, and would exclude nothing."""
    for number, rule in enumerate(rules):
        where = f"{path}: exclude[{number}]"
        if not rule:
            raise OptionError(f"{where} would exclude everything", repair="Name what to leave out")
        for name, wanted in rule.items():
            known = [value for grid in grids for value in _axis(name, grid, document)]
            for value in wanted:
                if value not in known:
                    texts = [entry for entry in known if isinstance(entry, str)]
                    hint = did_you_mean(str(value), texts)
                    raise OptionError(f"{where}: no grid has {name} {value!s}", repair=hint)
