"""The flags of decoders, and which of the networks a user named are decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.decoding.request import CONTEXT, Phase, Request, Spread
from roofline.errors import DimensionError, OptionError
from roofline.units import scale

if TYPE_CHECKING:
    from roofline.decoding.phases import Decoding
    from roofline.validate.measuring.decoder_model import Stage
    from roofline.workload import Workload

PANEL = "Language models (decoders)"

NEW_TOKENS = 512
UNASKED = Request(new_tokens=NEW_TOKENS, defaults=frozenset({"context", "new_tokens", "spread"}))
"""What decoders are asked for where no flag says."""


@dataclass(frozen=True, kw_only=True)
class ContextOptions:
    """How long the prompts of decoders are."""

    context: Annotated[int | None, typer.Option(min=1, rich_help_panel=PANEL)] = None
    """Positions of the prompt. Default: 4,096, or what fits a model of fewer positions."""


@dataclass(frozen=True, kw_only=True)
class DecoderOptions(ContextOptions):
    """What is asked of decoders."""

    new_tokens: Annotated[int | None, typer.Option(min=1, rich_help_panel=PANEL)] = None
    """Tokens written behind it; the time per token is their mean. Default: 512."""
    phase: Annotated[Phase | None, typer.Option(rich_help_panel=PANEL)] = None
    """The prompt, the tokens behind it, or both (the default); -b is requests in flight."""
    spread: Annotated[Spread | None, typer.Option(rich_help_panel=PANEL)] = None
    """How devices share it: every layer (tensor, the default), or layers in series (llama.cpp's way)."""

    def request(self) -> Request | None:
        """Return what is asked; None for nothing."""
        given = {name for name, value in asdict(self).items() if value is not None}
        if not given:
            return None
        return Request(
            self.context or CONTEXT, self.new_tokens or NEW_TOKENS, self.phase or Phase.BOTH,
            spread=self.spread or Spread.TENSOR, defaults=UNASKED.defaults - given,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ServingOptions(DecoderOptions):
    """What is asked of decoders, of the machines that share one, and of its times."""

    devices: Annotated[int | None, typer.Option(min=1, rich_help_panel=PANEL)] = None
    """Machines that share a decoder, as --spread says. Default: 1."""
    max_ttft_ms: Annotated[float | None, typer.Option(min=0, rich_help_panel=PANEL)] = None
    """Longest time to the first token; the fewest --devices that reach it are taken."""
    max_tpot_ms: Annotated[float | None, typer.Option(min=0, rich_help_panel=PANEL)] = None
    """Longest time per output token; the fewest --devices that reach it are taken."""

    def request(self) -> Request | None:
        """Return what is asked; None for nothing."""
        asked = super().request()
        return asked and replace(
            asked, devices=self.devices or 1, max_ttft_s=scale(self.max_ttft_ms, 1e-3),
            max_tpot_s=scale(self.max_tpot_ms, 1e-3),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StageOptions(ContextOptions):
    """Which parts of answering a request are run of decoders."""

    phase: Annotated[Phase | None, typer.Option(rich_help_panel=PANEL)] = None
    """Run the prompt, one token behind it with a filled cache, or both (the default), each by itself."""

    def stage(self, models: Sequence[str], *, bound: bool) -> StagedDecoder:
        """Return the decoders among networks that are to be run, and the parts in which they are.

        Without flags decoders that are shipped or described are run in both phases; files are, with them.

        Raises:
            OptionError: A phase is asked for, and a network is no decoder; or decoders stand among other networks.
        """
        from roofline.validate.measuring.decoder_model import Stage

        request = None
        if self.context is not None or self.phase is not None:
            request = Request(self.context or CONTEXT, phase=self.phase or Phase.BOTH)
        if request is None and all(name.endswith(".onnx") for name in models):
            return StagedDecoder((), ())
        others, found = split_decoders(models, request, bound=bound)
        if others and found:
            raise OptionError(
                f"{found[0].name} is a decoder, and {others[0]} is none", repair="Run them apart"
            )
        asked = request or Request()
        if self.context is None:
            whole = replace(asked, defaults=frozenset({"context"}))
            asked = replace(
                asked, context=min((each.fit(whole).context for each in found), default=CONTEXT)
            )
        phases = [Phase.PREFILL, Phase.DECODE] if asked.phase is Phase.BOTH else [asked.phase]
        for decoder in found:
            for phase in phases:
                decoder.check(replace(asked, phase=phase, new_tokens=1))
        stages = tuple(Stage(phase, asked.context) for phase in phases)
        return StagedDecoder(tuple(found), stages if found else ())


@dataclass(frozen=True, slots=True)
class StagedDecoder:
    """Decoders that are run, and the parts in which they are; without any, networks are run whole."""

    decoders: tuple[Decoding, ...]
    stages: tuple[Stage, ...]

    def workloads(self, batch: int) -> list[Workload]:
        """Return what each part of each decoder requires, under the name that its runs are shown by."""
        found: list[Workload] = []
        for entry in self.decoders:
            for stage in self.stages:
                request = Request(context=stage.context, phase=stage.phase)
                count = entry.step if stage.phase is Phase.DECODE else entry.prompt
                found.append(replace(count(request, batch), name=f"{entry.name} {stage.label}"))
        return found


def split_decoders(
    models: Sequence[str], request: Request | None, *, bound: bool
) -> tuple[list[str], list[Decoding]]:
    """Return the networks that are no decoders, and the decoders.

    Args:
        models: What a user named.
        request: What is asked of decoders; with it, a file is one if its inputs hold a cache.
        bound: Whether the user bound dimensions by hand; then every file is counted as it is bound.

    Raises:
        OptionError: Something is asked of decoders, and a network is none.
    """
    from roofline._load import decoder
    from roofline.cli._options import unique_models

    others: list[str] = []
    found: list[Decoding] = []
    for name in unique_models(models):
        if bound:
            others.append(name)
            continue
        try:
            known = decoder(Path(name) if name.endswith(".onnx") else name)
        except DimensionError:
            if request is not None:
                raise
            known = None
        if known is not None:
            found.append(known)
        else:
            others.append(name)
    if request is not None and (others or not found):
        which = others[0] if others else models[0]
        raise OptionError(
            f"--context, --new-tokens, --phase, --spread, --devices, --max-ttft-ms and --max-tpot-ms are for decoders; "
            f"{which} is not taken as one"
            + (": its inputs are bound by hand" if bound else ": it has no key-value cache"),
            repair="Leave them out"
            + (", or leave --dim, --input and --value out" if bound else ""),
        )
    return others, found
