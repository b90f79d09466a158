"""The options that every command knows, before or after the command's name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from devcluster.deadline import Deadline

F = TypeVar("F", bound=Callable[..., Any])
_USUAL = 300.0  # seconds


@dataclass(slots=True)
class Options:
    """Filled by the options as they are parsed; the one nearest to the command wins.

    ``answered``: the one document of ``-o json`` has been printed.  ``streams``: there is none, but lines
    until ^C, or another program's output.
    """

    file: Path | None = None
    context: str | None = None
    namespace: str | None = None
    output: str = "text"
    verbose: bool = False
    quiet: bool = False
    no_color: bool = False
    timeout: float | None = None
    answered: bool = False
    streams: bool = False

    @property
    def json(self) -> bool:
        return self.output == "json"

    @property
    def deadline(self) -> Deadline:
        """From now on."""
        fixed = self.timeout is not None
        return Deadline.after(self.timeout or _USUAL, fixed=fixed)

    @property
    def color(self) -> bool | None:
        """For click: False for never, None for only on a terminal."""
        return False if self.no_color or os.environ.get("NO_COLOR") else None


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None and value is not False:
        setattr(context.ensure_object(Options), str(parameter.name), value)
    return value


def common(function: F) -> F:
    """Add the common options to a command or group; they arrive as ``Options``, by ``pass_options``."""
    for declare in reversed(_DECLARATIONS):
        function = declare(function)
    return function


def common_but_f(function: F) -> F:
    """The same for ``logs``, where ``-f`` means to follow, as elsewhere; the file is ``--file`` there."""
    for declare in reversed((_option("--file", **_FILE), *_DECLARATIONS[1:])):
        function = declare(function)
    return function


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    from devcluster.config.text.units import parse_duration

    try:
        seconds = parse_duration(f"{value}s" if value.isdecimal() else value)
        if not seconds:
            raise ValueError(f"expected more than 0, got {value}")
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return _store(context, parameter, seconds)  # type: ignore[no-any-return]


def _option(*names: str, callback: Callable[..., Any] = _store, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=callback, **settings)


_FILE: dict[str, Any] = {
    "type": click.Path(path_type=Path),
    "help": "The file; default: devcluster.yaml in this folder or above.",
}
_DECLARATIONS = (
    _option("-f", "--file", **_FILE),
    _option("--context", help="The kubeconfig's context; default: the file's, then the current one."),
    _option("-n", "--namespace", help="The namespace; default: the file's, then the context's."),
    _option("-o", "--output", type=click.Choice(["text", "json"]), help="json: one document on stdout."),
    _option("--verbose", is_flag=True, help="Print when each step was taken, and where an error was raised."),
    _option("-q", "--quiet", is_flag=True, help="Print no progress."),
    _option("--no-color", is_flag=True, help="Print no colours, as with NO_COLOR."),
    _option(
        "--timeout",
        callback=_seconds,
        metavar="DURATION",
        help="How long it may take, as 90s or 90; default: 5m, or what the workload's own figures allow.",
    ),
)

pass_options = click.make_pass_decorator(Options, ensure=True)
