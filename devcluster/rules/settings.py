"""Settings in a text, ``KEY = VALUE`` in whatever manner: the key says whether its value is a host.

``define( 'DB_HOST', 'db' );``, ``host = db``, ``"host": "db"``, ``mysql:host=db;dbname=db``,
``--host=db``, ``-Ddb.host=db``: here ``db`` is a host.  ``define( 'DB_NAME', 'db' );`` stays, and so does a
password that looks like an address.  Beside that the rules of ``hosts`` hold within each quoted string, and
in what is not quoted.  A URL's own query is no setting.

Files are such texts, and so are many values of the environment (JSON, connection strings, options).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from devcluster.rules.certificates import Ask, read_options, reason_of
from devcluster.rules.hosts import Host, blank_urls, find_hosts, find_urls, mentions
from devcluster.rules.proxies import proxy_lists
from devcluster.rules.variables import kept_by_name, names_host, names_secret, never_host, words_of

_KEY = r"[A-Za-z_$][A-Za-z0-9_.$-]*"
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_LITERAL = rf"{_QUOTED.pattern}|\[[^\[\]]{{0,2000}}\]"
_BARE = r"[A-Za-z0-9.:,_-]{1,300}"
_FORMS = (
    # 'KEY', 'VALUE' | "KEY": "VALUE" | "KEY" => VALUE
    re.compile(
        rf"(?:^|[\s,;{{(\[&])(?P<open>['\"])(?P<key>{_KEY})(?P=open)\]?\s*(?:(?:=>|:=|=|:)\s*(?P<value>"
        rf"{_LITERAL}|{_BARE}(?=\s*(?:$|[;#)}}\]]|,\s*['\"]))|\s+[#;])|,\s*(?P<second>{_QUOTED.pattern}))",
        re.ASCII,
    ),
    # KEY = VALUE, KEY: VALUE, KEY => VALUE
    re.compile(
        rf"(?:^|[\s,;{{(\[&])(?P<key>{_KEY})\]?(?:\s*(?:=>|:=|=)\s*|\s*:(?:\s+|(?=['\"\[])))(?P<value>"
        rf"{_LITERAL}|{_BARE}(?=\s*(?:$|[;#)}}\]]|,\s*{_KEY}\s*[:=])|\s+[#;]))",
        re.ASCII,
    ),
    # KEY=VALUE among others: options, connection strings
    re.compile(
        rf"(?:^|[\s,;{{(\[&|:'\"])(?:--?(?:D(?=[a-z]))?)?(?P<key>{_KEY})=(?P<value>"
        rf"{_LITERAL}|{_BARE}(?=$|[\s;#)}}\]&|'\"]|,{_KEY}=))",
        re.ASCII,
    ),
)
_BEFORE_URL = re.compile(rf"(?P<key>{_KEY})\s*(?:=>|=|:)\s*$", re.ASCII)
# PASSWORD=…, --password …, whatever its letters are
_SECRET = re.compile(
    rf"(?:^|[\s,;{{(\[&|:'\"])(?P<dash>--?)?(?P<key>{_KEY})(?:\s?=\s?|:\s+|(?(dash)\s+|(?!)))(?P<value>[^\s;&'\"]+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a setting asks for, and the lines of its block."""

    ask: Ask
    first: int
    last: int

    def covers(self, line: int, words: str) -> bool:
        return self.ask.covers(words) if self.ask.group else self.first <= line <= self.last


def find_in_text(text: str, services: frozenset[str]) -> tuple[Host, ...]:
    """The hosts in *text*, in order; each line by itself, except that an option may speak for its block."""
    if not mentions(text, services):
        return ()
    lines = text.split("\n")
    said = _said(lines)
    found: list[Host] = []
    at = 0
    for number, line in enumerate(lines):
        for host, words in _find_in_line(line, services):
            kept = host.kept or reason_of(it.ask for it in said if it.covers(number, words))
            found.append(Host(host.start + at, host.end + at, kept))
        at += len(line) + 1
    return tuple(found)


def asks_in_text(text: str) -> tuple[Ask, ...]:
    """What the options in *text* ask for, beside its URLs: ``?sslmode=verify-full``, ``{"ssl": true}``."""
    return tuple(it.ask for it in _said(text.split("\n")))


def _said(lines: Sequence[str]) -> list[_Said]:
    return [
        _Said(ask, *_block(lines, number))
        for number, line in enumerate(lines)
        for ask in read_options(blank_urls(line))
    ]


def _block(lines: Sequence[str], number: int) -> tuple[int, int]:
    """The lines around *number* that are indented as far, up to the head of a section."""
    depth = _depth(lines[number])

    def ends(line: str) -> bool:
        return bool(line.strip()) and (_depth(line) < depth or line.startswith("["))

    first = next((i + 1 for i in range(number - 1, -1, -1) if ends(lines[i])), 0)
    last = next((i - 1 for i in range(number + 1, len(lines)) if ends(lines[i])), len(lines) - 1)
    return first, last


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" \t-"))


def _find_in_line(line: str, services: frozenset[str]) -> list[tuple[Host, str]]:
    """Each host, and the words of the key that it stands behind ('' for none)."""
    if not mentions(line, services):
        return []
    found: dict[int, Host] = {}
    words: dict[int, str] = {}
    settled = [match.span("value") for match in _SECRET.finditer(line) if names_secret(match["key"])]
    settled += proxy_lists(line)
    for start, end in _parts(line):
        found |= _shifted(line, start, end, services, whole=False)
    for key, start, end in sorted(_settings(line), key=lambda it: it[1] - it[2]):  # the innermost last
        reason = kept_by_name(key)
        if never_host(key, line[start:end], names=not reason):
            settled.append((start, end))
        elif reason or names_host(key):
            found |= _shifted(line, start, end, services, whole=True)
        for at in (at for at in found if start <= at < end):
            words[at] = words_of(key)
            found[at] = replace(found[at], kept=reason or found[at].kept)
    free = (at for at in sorted(found) if not any(low <= at < high for low, high in settled))
    return [(found[at], words.get(at, "")) for at in free]


def _settings(line: str) -> Iterator[tuple[str, int, int]]:
    """Each key, and where its value stands, without quotes."""
    urls = tuple(find_urls(line))
    for form in _FORMS:
        for match in form.finditer(line):
            if any(start <= match.start("key") < end for start, _, end in urls):
                continue
            group = "value" if match["value"] is not None else "second"
            start, end = match.span(group)
            quoted = line[start] in "'\""
            yield match["key"], start + quoted, end - quoted
    for start, _, end in urls:
        if before := _BEFORE_URL.search(line, max(0, start - 200), start):
            yield before["key"], start, end


def _parts(line: str) -> Iterator[tuple[int, int]]:
    """Each quoted string, and what is between them."""
    at = 0
    for quoted in _QUOTED.finditer(line):
        yield at, quoted.start()
        yield quoted.start() + 1, quoted.end() - 1
        at = quoted.end()
    yield at, len(line)


def _shifted(line: str, start: int, end: int, services: frozenset[str], *, whole: bool) -> dict[int, Host]:
    part = line[start:end].rstrip("\r")
    hosts = find_hosts(part, services, whole=whole)
    return {host.start + start: Host(host.start + start, host.end + start, host.kept) for host in hosts}
