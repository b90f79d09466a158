"""An environment as text for other programs.

Rule: what a format can't carry is refused by name, never changed.  A newline in a ``.env`` value would give
the program another value and, after it, a variable that nobody wrote.

Sources: https://docs.docker.com/reference/cli/docker/container/run/#env (--env-file);
POSIX 2.2 (quoting).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import yaml

from devcluster.errors import ConfigurationError

FORMATS = ("docker", "json", "sh", "yaml")
# Read-only in bash, or bash's own: an assignment to them is an error, or forgotten.
_SHELLS_OWN = re.compile(
    r"_|E?UID|PPID|SHELLOPTS|BASHOPTS|BASHPID|BASH_(?:VERSINFO|ARGC|ARGV0?|COMMAND|LINENO|SOURCE|SUBSHELL)|"
    r"DIRSTACK|EPOCH(?:REALTIME|SECONDS)|FUNCNAME|GROUPS|HISTCMD|LINENO|S?RANDOM|SECONDS"
)
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# docker reads the file line by line: at \n, and drops one \r before it; a name may hold no
# blank, a line 64 KiB at most.
_LONGEST = 64 * 1024 - 1
_BLANKS = re.compile(r"\s")


def render_environment(pairs: Iterable[tuple[str, str]], form: str) -> str:
    """*pairs* as ``docker`` (--env-file), ``json``, ``sh`` or ``yaml``.  Bytes that are no UTF-8 are lone
    surrogates (``surrogateescape``), before and after; only a shell carries them.

    ConfigurationError names the variable and a format that can carry it, never the value.
    """
    present = list(pairs)
    bad = [name for name, value in present if not can_carry(form, name, value)]
    if bad:
        _refuse(form, bad, present)
    match form:
        case "docker":
            return "".join(f"{name}={value}\n" for name, value in present)
        case "sh":
            return "".join(f"export {name}={_quoted(value)}\n" for name, value in present)
        case "json":
            return json.dumps(dict(present), indent=2, ensure_ascii=False) + "\n"
        case "yaml":
            return _yaml(dict(present))
    raise ConfigurationError(f"no format {form}: there are {', '.join(FORMATS)}")


def _yaml(variables: dict[str, str]) -> str:
    text: str = yaml.dump(
        variables,
        Dumper=_Quoted,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1 << 30,
    )
    return text


class _Quoted(yaml.SafeDumper):
    """Every text in double quotes: ``on`` and ``1e3`` are texts for every reader then."""


_Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, '"'))


def can_carry(form: str, name: str, value: str) -> bool:
    if not name or "=" in name or "\0" in name + value:
        return False
    if form == "sh":
        return _SHELL_NAME.fullmatch(name) is not None and not _SHELLS_OWN.fullmatch(name)
    if not is_text(name + value):
        return False
    if form == "docker":
        plain = not _BLANKS.search(name) and not name.startswith("#") and not name.startswith("\ufeff")
        fits = len(f"{name}={value}".encode()) < _LONGEST
        return plain and fits and "\n" not in value and not value.endswith("\r")
    return True


def is_text(text: str) -> bool:
    """Whether it is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _refuse(form: str, bad: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
    shown = ", ".join(name.encode("unicode_escape").decode() for name in bad)
    able = [it for it in FORMATS if it != form and all(can_carry(it, name, value) for name, value in pairs)]
    hint = (
        f"--format {able[0]} can"
        if able
        else "no format can carry all of them: leave some out with `env: {exclude: […]}`"
    )
    raise ConfigurationError(f"the format {form} can't carry {shown}", hint=hint)
