"""Groups of options: what several verbs take is declared once, as the fields of a dataclass, and reaches them whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter
from typing import Any, TypeVar, get_type_hints

import typer

Verb = TypeVar("Verb", bound=Callable[..., None])


def command(app: typer.Typer, name: str | None = None) -> Callable[[Verb], Verb]:
    """Register a verb whose parameters may be groups of options, beside arguments and options of its own.

    Args:
        app: Where it is registered.
        name: What it is called; the function's name unless given.
    """

    def register(verb: Verb) -> Verb:
        app.command(name)(_spread(verb))
        return verb

    return register


def _spread(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb with every group in its signature replaced by the options in it."""
    groups: dict[str, tuple[type, list[str]]] = {}
    parameters: list[Parameter] = []
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        group = parameter.annotation
        if isinstance(group, type) and is_dataclass(group):
            options = _options(group)
            groups[parameter.name] = group, [option.name for option in options]
            parameters += options
        else:
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))

    def call(**given: Any) -> None:
        gathered = {
            name: group(**{option: given.pop(option) for option in options})
            for name, (group, options) in groups.items()
        }
        verb(**given, **gathered)

    call.__name__, call.__doc__ = verb.__name__, verb.__doc__
    # Typer reads what a verb takes from here.
    call.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return call


def _options(group: type) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            option.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if option.default is MISSING else option.default,
            annotation=hints[option.name],
        )
        for option in fields(group)
    ]
