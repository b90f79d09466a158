"""Commands that the contract names and that are not built yet: refused, never ignored."""

from __future__ import annotations

from typing import Any

import click

from devcluster.cli.options import common
from devcluster.errors import ConfigurationError


def _later(name: str, does: str) -> click.Command:
    @click.command(name, context_settings={"ignore_unknown_options": True}, help=f"Not built yet: {does}")
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @common
    def refuse(words: Any) -> None:
        raise ConfigurationError(f"{name}: not built yet")

    return refuse


diff = _later("diff", "what the private copy of a volume changed against the pod's.")
init = _later("init", "write a commented devcluster.yaml from the live namespace.")
