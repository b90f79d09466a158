"""Where in a text a short Service name stands as a host.

The rules, and nothing else is touched:
1. after ``://`` and any login, up to the path; each of a comma list (``mongodb://u:p@db,db:1/x``);
2. before ``:port`` (``a:9092,b:9092``, ``tcp(db:3306)``, ``u:p@db:3306``);
3. behind a word that says so (``host=db port=5432 user=db``, ``Server=tcp:db,1433;Database=db``);
4. where the text as a whole is known to name hosts (``whole``): each of a list.

Never a login, a path, a query, a database, nor a name with a dot in it.  The naive way, replacing the
word wherever it stands, locks one out of ``mysql://db:db@db/db``.  Logins are the difficulty: a password may
hold any letter, so behind ``://`` everything up to the next blank belongs to that one address, and where
it could be read in two ways (``x://db:1/w@db``: is ``1/w`` a password?) it stays as it is.

Source: RFC 3986, 3.2 (authority); https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_NAME = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_WORD = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_IN_SCHEME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+.:_-")
_REST = re.compile(r"[^\s,]*")
_TOKEN_END = re.compile(r"[\s\"'`<>]|[,;|](?=(?:[A-Za-z0-9._-]+=)?[A-Za-z][A-Za-z0-9+.:_-]*://)", re.ASCII)
_AUTHORITY_END = re.compile(r"[/?#;\\)\]}|]")
_MEMBER = re.compile(rf"({_NAME})(?::[0-9]{{1,5}})?", re.ASCII)
_BEFORE_PORT = re.compile(
    rf"(?:(?<![^\s,;=(|])|(?<=@)|(?<=@//))({_NAME}):[0-9]{{1,5}}(?=$|[\s,;)/?|]|(?<=[0-9]):[A-Za-z])",
    re.ASCII,
)
_BEHIND_WORD = re.compile(
    r"(?:(?<=^)|(?<=[\s;,(&]))(?:host|hostname|hostaddr|server|servers|addr|address|endpoint|data source|"
    r"brokers?|bootstrap\.servers)\s*=\s*(?:tcp:)?",
    re.ASCII | re.IGNORECASE,
)
_WORD_LIST = re.compile(r"[A-Za-z0-9.:-]+(?:,[A-Za-z0-9.:-]+)*(?=$|[\s;)&\\])", re.ASCII)
_WORD_IN_JSON = r"\"[A-Za-z0-9_.:\[\]-]*\"|'[A-Za-z0-9_.:\[\]-]*'|[A-Za-z0-9_.:-]+"
_JSON_LIST = re.compile(rf"\[\s*(?:(?:{_WORD_IN_JSON})\s*(?:,\s*|(?=\])))+\]", re.ASCII)
_ITEM = re.compile(rf"(?<![^\s,;|\[\"'])({_NAME})(?::[0-9]{{1,5}})?(?=$|[\s,;|\]\"'])", re.ASCII)
_IN_CALL = re.compile(rf"(?:(?<=@tcp\()|(?<=@tcp[46]\())({_NAME})\)", re.ASCII)
_ANYWHERE = re.compile(rf"(?<![^\s,;|(@=\"'\[{{])({_NAME})(?=$|[\s,;|)\"'\]}}/:])", re.ASCII)
_LIST = re.compile(r"[A-Za-z0-9_.:\[\]-]+(?:[\s,;|]+[A-Za-z0-9_.:\[\]-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Host:
    """``text[start:end]`` is the short name of a Service."""

    start: int
    end: int


def find_hosts(
    text: str, services: Collection[str], *, whole: bool = False, every: bool = False
) -> tuple[Host, ...]:
    """The hosts in *text* that name one of *services*, in order.

    *whole*: the text is known to name hosts (rule 4).  *every*: its owner has said that each such word
    outside a URL is one.
    """
    if not mentions(text, services):
        return ()
    urls = tuple(find_urls(text))
    found = {host for url in urls for host in _in_url(text, *url)}
    bare = _blank(text, urls)
    found |= {Host(*match.span(1)) for match in _BEFORE_PORT.finditer(bare) if _one_login(bare, match)}
    found |= set(_behind_words(bare))
    found |= {Host(*match.span(1)) for match in _IN_CALL.finditer(bare)}
    if whole and is_list(text):
        found |= {Host(*match.span(1)) for match in _ITEM.finditer(bare)}
    if every:
        found |= {Host(*match.span(1)) for match in _ANYWHERE.finditer(bare) if _one_login(bare, match)}
    known = [host for host in found if text[host.start : host.end] in services]
    return tuple(sorted(known, key=lambda host: host.start))


def qualify(text: str, hosts: Collection[Host], namespace: str) -> str:
    """*text* with ``.namespace`` behind each of *hosts*."""
    parts, at = [], 0
    for host in hosts:
        parts += [text[at : host.end], ".", namespace]
        at = host.end
    return "".join(parts) + text[at:]


def is_list(text: str) -> bool:
    """Whether *text* could be nothing but hosts: one, several, or a list of them in JSON; no URL."""
    return (
        _LIST.fullmatch(text.strip(" \t\r\n,;|")) is not None
        or _JSON_LIST.fullmatch(text.strip()) is not None
    )


def mentions(text: str, services: Collection[str]) -> bool:
    """Whether one of *services* stands in *text* at all; quick, however many there are."""
    return any(word in services for word in _WORD.findall(text))


def find_urls(text: str) -> Iterator[tuple[int, int, int]]:
    """Each address with ``://`` and all that belongs to it: scheme's start and end, token's end."""
    at = 0
    while (mark := text.find("://", at)) >= 0:
        start = mark
        while start > at and text[start - 1] in _IN_SCHEME:
            start -= 1
        if start == mark:
            at = mark + 3
            continue
        end = _TOKEN_END.search(text, mark + 3)
        at = end.start() if end else len(text)
        yield start, mark + 3, at


def _blank(text: str, urls: Iterable[tuple[int, int, int]]) -> str:
    """*text* with its URLs (and their schemes) as one strange letter each, at the same places."""
    parts, at = [], 0
    for start, _, end in urls:
        parts += [text[at:start], "\x00" * (end - start)]
        at = end
    return "".join(parts) + text[at:]


def _in_url(text: str, scheme: int, start: int, end: int) -> Iterator[Host]:
    if text[scheme:start].endswith("dns://") and text[start : start + 1] == "/":  # gRPC's: no authority
        start += 1
    stop = _AUTHORITY_END.search(text, start, end)
    close = stop.start() if stop else end
    login = text.rfind("@", start, close)
    if login < 0 and _login_behind(text[close:end]) and ":" in text[start:close]:
        return
    at = login + 1 if login >= 0 else start
    for part in text[at:close].split(","):
        if member := _MEMBER.fullmatch(part):
            yield Host(at, at + len(member[1]))
        at += len(part) + 1


def _login_behind(rest: str) -> bool:
    """Whether what looks like a path may be the rest of a password."""
    return "@" in re.split(r"[?#]", rest, maxsplit=1)[0].replace("/@", "")


def _one_login(text: str, match: re.Match[str]) -> bool:
    """Not where a later ``@`` of the same word makes this a part of the password."""
    rest = _REST.match(text, match.end())
    return rest is None or "@" not in rest[0]


def _behind_words(text: str) -> Iterator[Host]:
    for word in _BEHIND_WORD.finditer(text):
        names = _WORD_LIST.match(text, word.end())
        if names is None:
            continue
        at = names.start()
        for part in names[0].split(","):
            if member := _MEMBER.fullmatch(part):
                yield Host(at, at + len(member[1]))
            at += len(part) + 1
