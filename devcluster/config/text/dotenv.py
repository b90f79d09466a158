"""``.env`` and ``env_file``: lines of ``NAME=value``, as Compose reads them.

In single quotes a value is taken as it is, over several lines.  Double quotes add ``\\n``, ``\\"`` and
variables.  Without quotes it ends at `` #``; spaces around it are cut and variables filled in.  A name alone
gets its value from the shell.  An error names the line, never the value.

Source: https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from devcluster.config.text.interpolate import Lookup, interpolate

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=#\"':][^\s=:]*)[ \t]*(?:([=:])[ \t]*|(?=\n|#|$))")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


def _fail(line: int, text: str) -> None:
    raise ValueError(f"line {line}: {text}")


def _ignore(line: int, name: str) -> None:
    pass


def parse_dotenv(
    text: str,
    lookup: Lookup,
    *,
    raw: bool = False,
    fault: Callable[[int, str], None] = _fail,
    unset: Callable[[int, str], None] = _ignore,
) -> dict[str, str | None]:
    """Names to values, None for a name alone.  *raw*: values are taken as they are, to the end of the line.

    *fault* is called with each bad line; without it the first one raises ValueError.  Nothing is read after
    an unclosed quote: a name there may be a piece of a secret.  *unset* is called with each variable that has
    no value, and the line; '' if the name itself may be secret.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    result: dict[str, str | None] = {}

    def seen(name: str) -> str | None:
        shell = lookup(name)
        return shell if shell is not None else result.get(name)

    at = 0
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        end = _line_end(text, at)
        if not (stripped := text[at:end].strip()) or stripped.startswith("#"):
            at = end + 1
            continue
        found = _LINE.match(text, at)
        if found is None:
            fault(line, "expected NAME=value")
            at = end + 1
            continue
        if found[2] is None:
            result[found[1]] = None
            at = end + 1
            continue
        try:
            fill = partial(_fill, lookup=seen, unset=partial(unset, line))
            result[found[1]], at = _value(text, found.end(), fill, raw)
        except ValueError as error:
            fault(line, f"{found[1]}: {error}")
            at = len(text) if text[found.end() : found.end() + 1] in ("'", '"') else end + 1
    return result


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _fill(text: str, *, lookup: Lookup, unset: Callable[[str], None]) -> str:
    return interpolate(text, lookup, unset=lambda name, braces: unset(name if braces else ""))


def _value(text: str, at: int, fill: Callable[[str], str], raw: bool) -> tuple[str, int]:
    """The value that begins at *at*, and where the next line begins."""
    end = _line_end(text, at)
    quote = text[at : at + 1]
    if raw or quote not in ("'", '"'):
        line = text[at:end]
        if raw:
            return line, end + 1
        comment = r"(?:^|[ \t])#" if text[at - 1] in " \t" else r"[ \t]#"
        plain = re.split(comment, line, maxsplit=1)[0].strip()
        return fill(plain), end + 1
    close = at + 1
    while close < len(text) and text[close] != quote:
        close += 2 if text[close] == "\\" and (quote == '"' or text[close + 1 : close + 2] == "'") else 1
    if close >= len(text):
        raise ValueError("a quote is not closed")
    rest = text[close + 1 : _line_end(text, close)].strip()
    if rest and not rest.startswith("#"):
        raise ValueError("text after the closing quote")
    inner = text[at + 1 : close]
    if quote == "'":
        return inner.replace("\\'", "'"), _line_end(text, close) + 1
    unescaped = re.sub(r"\\(.)", lambda it: _ESCAPES.get(it[1], it[0]), inner, flags=re.DOTALL)
    return fill(unescaped), _line_end(text, close) + 1
