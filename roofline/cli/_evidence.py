"""Figures of machines that a user brings: they correct what published runs let one expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._output import say
from roofline.errors import OptionError
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.expected_tokens import Figures
    from roofline.model._law_estimates import Effect
    from roofline.spec import Platform

EvidenceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="RUNS.csv",
        help="Figures of the machine that correct --model expected: columns machine, network, datatype, and fps "
        "or, of decoders, tokens_per_s (with phase, context, batch, devices).",
    ),
]


def check_corrects(model: str | None, **given: object) -> None:
    """Refuse flags that only an estimate from published runs takes.

    Args:
        model: Name of the prediction model; None for the best there is.
        **given: What was given of each flag, by its name without dashes.

    Raises:
        OptionError: Another model was asked for.
    """
    for name, value in given.items():
        if value is not None and model not in {None, "expected"}:
            raise OptionError(
                f"{model} takes no --{name}",
                repair="Leave --model out, or ask for --model expected",
            )


def effects_of(evidence: Path | None, machines: Sequence[Platform]) -> dict[str, Effect] | None:
    """Return what figures of networks say of the machines, by key; None without evidence.

    Raises:
        RooflineError: The evidence cannot be read.
    """
    if evidence is None:
        return None
    from roofline.validate.evidence.figures import read_effects
    from roofline.validate.evidence.forms import Form, read_source
    from roofline.validate.evidence.rates import count_unstated

    effects = read_effects(evidence, machines, lambda line: say(f"roofline: {line}"))
    source = read_source(evidence)
    silent = count_unstated(source.table) if source.form is Form.RATES else 0
    if silent:
        say(
            f"roofline: {plural(silent, 'rate')} of {evidence} without a mode: taken as one batch behind another, on "
            "runtimes with several in flight (trt) too; write mode throughput where it was measured so"
        )
    return effects


def figures_of(
    evidence: Path | None, machines: Sequence[Platform]
) -> Mapping[str, Figures] | None:
    """Return what measured rates of decoders say of the machines; None without evidence.

    Raises:
        RooflineError: The evidence cannot be read.
    """
    if evidence is None:
        return None
    from roofline.validate.evidence.token_figures import read_figures

    return read_figures(evidence, machines)
