"""Settings in a text, ``KEY = VALUE`` in whatever manner: the key says whether its value is a host.

``define( 'DB_HOST', 'db' );``, ``host = db``, ``"host": "db"``, ``mysql:host=db;dbname=db``,
``--host=db``, ``-Ddb.host=db``: here ``db`` is a host.  ``define( 'DB_NAME', 'db' );`` stays, and so does a
password that looks like an address.  Beside that the rules of ``hosts`` hold within each quoted string, and
in what is not quoted.  A URL's own query is no setting.

Files are such texts, and so are many values of the environment (JSON, connection strings, options).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from devcluster.rules.names.certificates import Ask, read_options, reason_of
from devcluster.rules.names.hosts import Host, blank_urls, find_hosts, find_urls, mentions
from devcluster.rules.names.proxies import proxy_lists
from devcluster.rules.names.variables import kept_by_name, names_host, names_secret, never_host, words_of

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
_DETAIL = re.compile(r"\s*[\"']?(?:enabled?|required|verify|mode)[\"']?\s*:", re.ASCII | re.IGNORECASE)
_HEAD = re.compile(r"\s*[\"']?(ssl|tls)[\"']?\s*:\s*\{?", re.ASCII | re.IGNORECASE)
_FAR = 100  # lines; an option does not speak for what is further away
_BEFORE_URL = re.compile(rf"(?P<key>{_KEY})\s*(?:=>|=|:)\s*$", re.ASCII)
# PASSWORD=…, --password …, whatever its letters are
_SECRET = re.compile(
    rf"(?:^|[\s,;{{(\[&|:'\"])(?P<dash>--?)?(?P<key>{_KEY})(?:\s?=\s?|:\s+|(?(dash)\s+|(?!)))(?P<value>[^\s;&'\"]+)",
    re.ASCII,
)


def find_in_text(text: str, services: frozenset[str]) -> tuple[Host, ...]:
    """The hosts in *text*, in order; each line by itself, except that an option may speak for its block."""
    if not mentions(text, services):
        return ()
    lines = text.split("\n")
    hosts = [_find_in_line(line, services) for line in lines]
    said = _said(lines, {number for number, line in enumerate(hosts) if line})
    grouped = {ask for ask, _ in said if ask.group}
    here: dict[int, set[Ask]] = {}
    for ask, number in ((ask, number) for ask, block in said if not ask.group for number in block):
        here.setdefault(number, set()).add(ask)
    found: list[Host] = []
    at = 0
    for number, line in enumerate(lines):
        for host, words in hosts[number]:
            meant = here.get(number, set()) | {ask for ask in grouped if ask.covers(words)}
            found.append(Host(host.start + at, host.end + at, host.kept or reason_of(meant)))
        at += len(line) + 1
    return tuple(found)


def asks_in_text(text: str) -> tuple[Ask, ...]:
    """What the options in *text* ask for, beside its URLs: ``?sslmode=verify-full``, ``{"ssl": true}``."""
    return tuple(ask for ask, _ in _said(text.split("\n"), frozenset()))


def _said(lines: Sequence[str], hosts: Collection[int]) -> list[tuple[Ask, range]]:
    """What each option asks for, and the lines of its block; *hosts*: lines with one."""
    depths = [_depth(line) for line in lines]
    return [
        (ask, _block(lines, depths, number, hosts))
        for number, line in enumerate(lines)
        for ask in read_options(blank_urls(_with_head(lines, number, line)))
    ]


def _with_head(lines: Sequence[str], number: int, line: str) -> str:
    """``ssl.enabled: true`` of ``enabled: true`` below ``ssl:``."""
    if _DETAIL.match(line) is None:
        return line
    above = range(number - 1, max(-1, number - _FAR), -1)
    head = next((lines[i].rstrip() for i in above if _depth(lines[i]) < _depth(line)), "")
    key = _HEAD.fullmatch(head)
    return f"{key[1]}.{line.strip()}" if key else line


def _block(lines: Sequence[str], depths: Sequence[int], number: int, hosts: Collection[int]) -> range:
    """The lines around *number* that are indented as far, up to the head of a section; where no host is among
    them, the block around that."""
    depth = depths[number]
    low, high = max(0, number - _FAR), min(len(lines), number + _FAR)

    def ends(line: int) -> bool:
        return depths[line] < depth or lines[line].startswith("[")

    while True:
        first = next((i + 1 for i in range(number - 1, low - 1, -1) if ends(i)), low)
        last = next((i for i in range(number + 1, high) if ends(i)), high)
        if not depth or first == low or any(i in hosts for i in range(first, last)):
            return range(first, last)
        depth = depths[first - 1]


def _depth(line: str) -> int:
    """How far *line* is indented; an empty one ends nothing."""
    return len(line) - len(line.lstrip(" \t-")) if line.strip() else _FAR


def _find_in_line(line: str, services: frozenset[str]) -> list[tuple[Host, str]]:
    """Each host, and the words of its key ('' for none)."""
    if not mentions(line, services):
        return []
    found: dict[int, Host] = {}
    settled = [match.span("value") for match in _SECRET.finditer(line) if names_secret(match["key"])]
    settled += proxy_lists(line)
    for start, end in _parts(line):
        found |= _shifted(line, start, end, services, whole=False)
    settings = sorted(_settings(line), key=lambda it: it[1] - it[2])  # the innermost last
    for key, start, end in settings:
        if never_host(key, line[start:end], names=not kept_by_name(key)):
            settled.append((start, end))
        elif kept_by_name(key) or names_host(key):
            found |= _shifted(line, start, end, services, whole=True)
    keys: dict[int, str] = {}
    places = sorted(found)
    for key, start, end in settings:
        within = places[bisect_left(places, start) : bisect_left(places, end)]
        keys |= dict.fromkeys(within, key)
    free = set(places)
    for start, end in settled:
        free.difference_update(places[bisect_left(places, start) : bisect_left(places, end)])
    return [_behind_key(found[at], keys.get(at, "")) for at in sorted(free)]


def _behind_key(host: Host, key: str) -> tuple[Host, str]:
    return replace(host, kept=kept_by_name(key) or host.kept), words_of(key)


def _settings(line: str) -> Iterator[tuple[str, int, int]]:
    """Each key, and where its value is, without quotes."""
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
