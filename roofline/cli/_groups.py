"""Groups of options: what several verbs take is declared once, as the fields of a dataclass, and reaches them whole.

An option is called what its field or parameter is called, and the docstring below a field is its help.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter
from itertools import pairwise
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

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
            options = list(_options(group))
            groups[parameter.name] = group, [option.name for option in options]
            parameters += options
        else:
            parameters.append(_parameter(parameter.name, parameter.default, group))

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


def _options(group: type) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    texts = {name: text for base in group.__mro__ for name, text in _docstrings(base)}
    for option in fields(group):
        default = Parameter.empty if option.default is MISSING else option.default
        yield _parameter(option.name, default, hints[option.name], texts.get(option.name))


def _parameter(name: str, default: Any, hint: Any, text: str | None = None) -> Parameter:
    """Return an option or argument under the flag that its name makes, unless it has one, with its help."""
    stated: Any = next(iter(getattr(hint, "__metadata__", ())), None)
    info: Any = copy(stated) if isinstance(stated, (ArgumentInfo, OptionInfo)) else typer.Option()
    if isinstance(info, OptionInfo):
        # Without a default, which an annotation has none of, the first flag stands in its place.
        flags = [
            str(flag) for flag in (info.default, *(info.param_decls or ())) if flag is not ...
        ]
        if all(flag[:2] != "--" for flag in flags):
            flags.insert(0, "--" + name.strip("_").replace("_", "-"))
        info.default, info.param_decls = ..., flags
    info.help = info.help or text
    kind = getattr(hint, "__origin__", hint) if stated is not None else hint
    return Parameter(
        name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _docstrings(group: type) -> Iterator[tuple[str, str]]:
    """Yield the name of each field of a class that has a docstring below it, and that docstring on one line."""
    module = sys.modules[group.__module__]
    whole = inspect.getsource(module) if hasattr(module, "__file__") else ""
    # The class and what is set in below it; nothing else of the module needs to be parsed.
    found = re.search(rf"^class {group.__name__}\b.*\n(?:(?:[ \t].*)?\n)*", whole, re.MULTILINE)
    body = ast.parse(found[0]).body[0] if found else None
    for field, below in pairwise(body.body if isinstance(body, ast.ClassDef) else ()):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
            case _:
                pass
