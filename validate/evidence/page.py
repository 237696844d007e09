"""The page on how good `expected` is, from the committed summary alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roofline.markdown import markdown_table
from roofline.number_format import plural
from roofline.validate.evidence.scores import (
    ClassScores,
    Scores,
    ScoresByLabel,
    UnlikeScores,
    VersionScores,
)

HEAD = """# How good `expected` is

`expected` estimates a network's throughput on a machine from published runs of other networks on like machines. This
page is written by `python benchmarks/fit_expected.py --evidence FILE --version N`; every figure is of runs that the
fit had not seen; each silicon leaves alone. The law, and what it is told, stand
in `roofline/model/_time_law.py`.

Factor: exp of the median of |log(predicted / measured)|. *Over machines* is the mean of each machine's, the headline:
five machines have half of the rows. *MAPE* is the mean of |predicted / measured - 1|, *bias* the geometric mean of
predicted over measured rates, *order* the share of pairs of machines, at one network and 1.2 to 3 times apart, that
are estimated in their order, *Spearman* the rank correlation of a machine's networks. *High/low* is the median over
rows. The width of an interval of a new machine goes with the number of kinds of silicon that are known at its class,
runtime and datatype; its ends are quantiles of its class, in which all other classes count as six machines more.
Which features the law has was chosen by physics, but among variants that were compared on left-out silicon, so that
the first table flatters a little.

An estimate of a processor or a graphics card is held between those of its maker's weaker and stronger ones that have
ten runs or more in the same way (runtime, datatype, one run at a time or several): weaker is what has at most as much of
every peak, of bandwidth and of weights that stay on the chip. Left-out machines in these tables are kept in that order
too. A machine with ten runs of its own in that way, or with figures that were given of it, goes by these.
"""

REMARKS = """## What an estimate rests on, in its words

`predict` says in a line what each estimate rests on:

- *89 runs of this machine*: it is in the evidence with this runtime; *at other datatypes* where none of them is at the
  one asked for. The count is of all of its runs with the runtime.
- *of orin-nx, a like machine*: it is not, but another mode or form of it is.
- *with other runtimes*: the machine is known, the runtime from other machines of its class.
- *runs of 12 gpu_dc machines with trt*: nothing is known of the machine but its data sheet.
- *by the network's layers*: the law of layers has three quarters of the estimate (below).
- *no slower than rtx-3060*, *no faster than h100-sxm*: the law by itself had this machine slower than a weaker one of
  its maker, or faster than a stronger one, whose runs say how fast that is (above). *In order with machines of its
  make*: the same of machines whose peaks stand in one ratio, of which none has runs enough to go by.
- *capped by the bound*, *interval capped by the bound*: no run is faster than Equation 1. Where what the law expects
  reaches above it, that part is cut off: estimate and interval are the median and the middle 80 % of what is left
  below, so that the interval ends short of the bound.
- *capped by 1.8 times the bound*: Equation 1 counts a convolution by its definition and at the unit that the datatype
  asks for. Runs may beat that: Winograd's and Strassen's algorithms need fewer multiplications (on processors, and on
  other machines in single precision), and some runtimes compute fp32 networks in half precision. The factor is what the
  network's layers leave room for, at most what runs of the class have reached.

The width of an interval is how far the law was off on runs of the same standing that it had not seen: of machines with
runs in the same way, of those known by other runtimes or datatypes, of new ones, and of those whose runtime nobody ran
on their class; of the class as far as there are machines enough, otherwise of all.
"""


SCATTER = """![Predicted over measured throughput, a panel for each class](images/expected_scatter.png)

`roofline score FILE --leave silicon --rows rows.csv`, then `roofline plot scatter rows.csv -o scatter.png`; dotted are
factors of two. Drawn are the published tables alone, in which PaddleClas's runs on a T4, left out, have no other card
with their runtime. Streaming NPUs, a card whose runs were made by another tool than its class's, and a compiled
processor that no other machine of the evidence is like are where it fails. FILE is a CSV with a row per run and the
columns `machine`, `machine_class`, `peak_op_s`, `bandwidth_b_s`, `runtime`, `network`, `datatype`, `batch`, `fps`,
`gmacs`, `params_m` and `activation_elements_m`; or records: a store, its export, or what `validate` wrote, without
them.

""".splitlines()
"""The figure of new machines, drawn of the rows behind the table above it."""


FAMILY = """\
The network's whole family leaves: nothing of its design is known on any machine. A machine whose runs are all of one
family is as good as new here, and its networks are too; the table above knows the network from other machines.

""".splitlines()


SETTING = """## A runtime or a datatype that a machine was not run with (`--leave setting`)

The machine is known from other runtimes, or at other datatypes, and others of its class say what the one asked for
does to it. Machines that were run in one way only are not judged.
""".splitlines()

ORIGIN = """## Published tables, and what people and vendors report (`--leave silicon`)

`validate/evidence/reported_runs.csv` and, of networks whose layers alone ship, `reported_named_runs.csv` have runs of
other machines and runtimes that were found one by one, with where each was read: PyTorch, TensorFlow and ONNX Runtime
on data-centre cards, TensorRT on consumer cards and boards, Radeon cards, accelerators, detectors. Left out were runs
of a whole pipeline or with post-processing, of several units, above the peak of the unit that is named, of a network
whose counts are not those of its name, and any that a published table has. Whoever reports a run says less of how it
was made. So they hardly move what tables say: of a coefficient that tables have runs of by 0.07 (standard deviation,
logarithm), and freely of runtimes and classes that they have none of. Runs dated before 2020 are left out of the fit,
since software has become faster, and `roofline score` gives them a line of their own; those without a date are kept. By
default no machine is taken to be run by what reports alone are of, unless its class has nothing else or tables know the
runtime on another class of the family.

Before they were used, version 8, which had seen none of them, estimated the first 747 runs since 2020 within a factor
of 1.91 over machines and 1.70 by rows. Version 9 estimated the next 789, on 46 machines, within 1.81 and 1.45, and its
80 % intervals held 71 % over machines and 74 % by rows; on the 19 machines that it had no run of, within 2.17 and 1.55.
Version 10 estimated 934 further ones, on 43 machines, within 1.63 and 1.30, its intervals held 64 % over machines and
71 % by rows; on the 14 machines that it had no run of, within 1.80 and 1.36. The law of version 11, fitted to the runs
of version 10, estimated the same within 1.55 and 1.29, and on those machines 1.74 and 1.33. One thing of it was found
by these runs, so that its figures are too kind: runs of BERT base on processors that a published table states a third
of the work of, and that are left out. Version 11, whose law is that of version 12, estimated 1,211 further ones, on 61
machines, within 1.50 and 1.40, its intervals held 79 % over machines and 70 % by rows; on the 12 machines that it had
no run of, within 1.82 and 1.37. Eight of 1,219 that were scored, detectors that run partly on the host of an Edge TPU,
were left out afterwards; with them it is 1.57 and 1.40. Version 12, whose law is that of version 11, estimated 1,730
more, on 124 machines, within 1.56 and 1.44, its intervals held 66 % over machines and 75 % by rows; on the 76 machines
that it had no run of, within 1.60 and 1.48 (72 % and 76 %). Runtimes that it does not know were taken as any. Of these,
33 of a network whose layers are those of training or that runs with its post-processing were dropped after version 11
had scored them, the peaks of Adreno 540 to 650 were mended (headlines count twice what multiply-adds reach), and the
bandwidth of the RZ/V2N in its mode `balanced` was estimated from its runs; before, version 11 was within 1.63 and 1.51
of the 661 runs on boards and phones among them, and within 1.55 and 1.46 of the 628 that are left.
That is what a machine, a network and a runtime that nobody here has looked at is like.

PaddleClas's runs of TensorRT, which are a part of Paddle Inference, are `paddle-trt`; PyTorch on Apple's GPUs is
`pt-mps`. GeForce cards are compared with their peak at sums in fp16 under TensorRT, which may keep them so, and with
half of it under frameworks.
""".splitlines()

UNLIKE = """## A machine unlike those of the fit (`--leave class`, `runtime`, `maker`)

What a new accelerator, another maker's card or a runtime that nobody ran on such machines is like: everything of the
class, the runtime or the maker leaves at once, and the law falls back to what is known of the next above (family of
classes, runtime on its other classes, everything). Each coefficient's own uncertainty is in the interval, which so
widens by what is unknown; the quantiles come from the other labels.
""".splitlines()


def page(summary: VersionScores) -> str:
    """Return the page as Markdown.

    Args:
        summary: What `roofline.validate.evidence.summaries.version_scores` returns.
    """
    return "\n".join(
        [*_head(summary), *_describe_other_measures(summary), *_by(summary), *_parts(summary)]
    )


def _head(summary: VersionScores) -> list[str]:
    """Return what was fitted, and how good it is on what that had not seen."""
    found = summary["provenance"]
    return [
        HEAD,
        f"Model version {summary['version']}; evidence of {plural(found['runs'], 'run')} on "
        f"{plural(found['machines'], 'machine')} with "
        f"{plural(found['silicon'], 'kind')} of silicon ({', '.join(found['sources'])}), SHA-256 `{found['sha256']}`.",
        "",
        "## A machine that is not in the evidence (`--leave silicon`)",
        "",
        *_table(summary["silicon"]),
        "",
        *SCATTER,
        *REMARKS.splitlines(),
        "",
        "## A network that is not in the evidence, on a machine that is (`--leave family`)",
        "",
        *FAMILY,
        *_table(summary["family"]),
        "",
    ]


def _describe_other_measures(summary: VersionScores) -> list[str]:
    """Return how good it is beside that: on settings and machines unlike those of the fit, and given figures."""
    return [
        *SETTING,
        "",
        *_table(summary["setting"]),
        "",
        *_origin(summary),
        *UNLIKE,
        "",
        *_unlike(summary["unlike"]),
        "",
        "## Equation 1 on the same runs",
        "",
        *_table(summary["equation1"]),
        "",
        "## Figures of the machine (`--evidence`, `roofline score --figures`)",
        "",
        "Machines with ten runs or more; the runs that give a figure are not judged.",
        "",
        *_rows("figures", summary["figures"]),
        "",
        "## Coverage",
        "",
        "Share of runs in intervals of each nominal share, mean over machines. The quantiles that judge a machine are",
        "never fitted with it.",
        "",
        markdown_table(["nominal", "new machine", "new network"], _coverage(summary)),
        "",
    ]


def _by(summary: VersionScores) -> list[str]:
    """Return how good it is on new machines by what the runs are of."""
    silicon = summary["silicon"]
    lines: list[str] = []
    for title, name, entries in (
        ("runtime", "runtime", silicon["by_runtime"]),
        ("kind of network", "kind", silicon["by_kind"]),
        ("machine", "machine", silicon["by_machine"]),
    ):
        lines += [f"## By {title}, new machine", "", *_rows(name, entries), ""]
    return lines


def _origin(summary: VersionScores) -> list[str]:
    """Return the section on reported runs; nothing of a version that was fitted to published tables alone."""
    found = summary.get("origin", {})
    return [*ORIGIN, "", *_rows("runs", found), ""] if "reported" in found else []


PARTS = {
    "order": """## More of everything is not slower

`python benchmarks/machine_order.py --evidence FILE --write`: pairs of platform files of one maker and class, one of
which has at least as much of everything, under four networks at batches of 1, 8 and 64 and three datatypes; a pair is
out of order where the estimate of the stronger is slower by more than a twentieth. Beside it the same of published
runs of one network in one way. What stays out of order are pairs of which both have few runs or none, and machines
whose own runs say so. Accelerators are left as their runs are: the stronger of two was slower in a quarter of such
runs, for their software differs.
""",
    "ablations": """## What each part of the law is worth

`python benchmarks/expected_ablations.py --evidence FILE --write`: the factor on new machines without the part. Silicon
is left out in six groups here, so the first row is not the headline. Settings that are chosen by such errors are judged
by them too kindly: in the last row each group is judged by the variant that is best on the others.
""",
    "settings": """## What was chosen before the fit

`python benchmarks/expected_ablations.py --evidence FILE --settings --write`: one setting changed at a time, in the same
six groups; *held at* is a prior standard deviation, in logarithms. The last row is the nested choice: each group judged
by the setting that is best on the others.
""",
    "floor": """## How near counts can come

`python benchmarks/expected_floor.py --evidence FILE --write`: runs on one machine, at one setting, of networks of
different families whose multiply-accumulates, parameters and activations are alike. Any law that is told counts alone
gives both one time, so with errors that are independent half the runs are *median factor at best* off. On DPUs, whose
table states neither parameters nor activations, a new network cannot be estimated within 1.3 this way. Layers go
below it.
""",
    "layers": """## What layers add

`python benchmarks/expected_layers.py --evidence FILE --write`: runs of networks whose layers are known (a table of
1,300 that torch, timm, torchvision and ultralytics define, traced by `benchmarks/network_layers.py` and found by name
and counts; of a network at hand they are its graph's). On a machine that is in the evidence a law of the layers
(`roofline/model/_layer_law.py`) has three quarters of the estimate, in logarithms, and that of counts the rest. On
machines that are not in it the same law was no better than counts alone, which stand there by themselves.
""",
    "graphs": """## Where the graphs ship: layers against the whole network

`python benchmarks/check_expected.py --evidence FILE --write`: runs whose counts are those of a shipped network, on
machines with a platform file. `expected` is what `roofline predict` says, machines of the evidence by their own runs.
""",
    "power": """## Power

`python benchmarks/power.py --table FILE --write`: full power of the QuTiBench machines, from idle power, utilization
and a share that is shrunk towards that of all machines; the last column is the range that eight of ten runs lie in,
high over low. Five runs that drew less than their machine at rest are left out.

Where a platform file knows both ends, `predict` takes a power half-way from idle to full for a machine that runs
anything, and the rest of the way with the share of its peak that the run reaches (*idle to full, half and utilization*;
full is the most that a machine drew). Eight of ten runs lie between none and 0.95 in place of half, which is in the
interval of frames per second and watt. By utilization alone, runs that reach little of the peak, as estimates do,
would draw too little: at up to a fifth of it 21 % over machines, and 15 % by half-way. Where one end is not known it is
the thermal design power, a bound: the rows of a machine left out say how far that is from what is drawn.
""",
}
"""The parts that benchmarks of their own put into the summary: heading and text."""

AS_SHARES = frozenset(
    {"mape", "machines_mape", "median_ape", "within_20", "out of order", "runs out of order"}
)
_NAMES = {
    "mape": "MAPE", "machines_mape": "MAPE over machines", "median_ape": "median", "within_20": "±20 %",
    "factor_machines": "over machines", "factor_rows": "rows", "width": "eight of ten in",
}  # fmt: skip


def _parts(summary: VersionScores) -> list[str]:
    lines: list[str] = []
    for name, text in PARTS.items():
        rows = summary.get(name)
        if rows:
            columns: list[str] = [str(name) for name in rows[0]]
            head = [_NAMES.get(name, name) for name in columns]
            cells = ([_cell(name, row[name]) for name in columns] for row in rows)
            lines += [*text.splitlines(), "", markdown_table(head, cells), ""]
    return lines


def _unlike(left: Mapping[str, UnlikeScores]) -> list[str]:
    entries: dict[str, Scores] = {}
    for name, found in left.items():
        entries[f"every {name} in turn"] = found["all"]
        entries |= {f"{name}: {label}": entry for label, entry in found["by"].items()}
    return _rows("left out", entries)


def _cell(column: str, value: Any) -> str:
    if column in AS_SHARES:
        return f"{100 * value:.1f} %"
    return (
        f"{value:.2f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _table(score: ClassScores) -> list[str]:
    return _rows("class", {"all": score["all"], **score["by_class"]})


def _rows(name: str, entries: ScoresByLabel) -> list[str]:
    some = next(iter(entries.values()))
    columns = ["n", "machines", "over machines", "rows", "MAPE", "±20 %", "within 2x", "bias"]
    interval = "coverage" in some
    columns += ["order", "Spearman"] if "order" in some else []
    columns += ["in 80 % interval", "high/low"] if interval else []
    rows: list[list[str]] = []
    for label, entry in entries.items():
        cells = [
            label, f"{entry['n']:,}", str(entry["machines"]), f"{entry['factor_machines']:.2f}",
            f"{entry['factor_rows']:.2f}", f"{100 * entry['mape']:.0f} %", f"{100 * entry['within_20']:.0f} %",
            f"{100 * entry['within_2x']:.0f} %", f"{entry['bias']:.2f}",
        ]  # fmt: skip
        if "order" in some:
            cells += [_share(entry.get("order")), _number(entry.get("spearman"))]
        if interval:
            cells += [_share(entry.get("coverage_machines")), f"{entry.get('width', 0):.1f}"]
        rows.append(cells)
    return [markdown_table([name, *columns], rows)]


def _coverage(summary: VersionScores) -> list[list[str]]:
    curves = [summary[left]["all"].get("coverage_curve", {}) for left in ("silicon", "family")]
    return [
        [f"{100 * float(share):.0f} %", *(f"{100 * curve[share]:.1f} %" for curve in curves)]
        for share in curves[0]
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
