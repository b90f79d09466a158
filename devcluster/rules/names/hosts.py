"""Where in a text a short Service name is a host.

The rules, and nothing else is touched:
1. after ``://`` and any login, up to the path; each of a comma list (``mongodb://u:p@db,db:1/x``);
2. before ``:port`` (``a:9092,b:9092``, ``tcp(db:3306)``, ``u:p@db:3306``);
3. behind a word that says so (``host=db port=5432 user=db``, ``Server=tcp:db,1433;Database=db``);
4. where the text as a whole is known to name hosts (``whole``): each of a list.

Never a login, a path, a query, a database, nor a name with a dot in it.  The naive way, replacing the
word wherever it occurs, locks one out of ``mysql://db:db@db/db``.  Logins are the difficulty: a password may
hold any letter, so behind ``://`` everything up to the next blank belongs to that one address, and where
it could be read in two ways (``x://db:1/w@db``: is ``1/w`` a password?) it stays as it is.

A host that is found need not change: ``kept`` says why it stays, as far as its own address tells
(``certificates``).

Sources: RFC 3986, 3.2 (authority); https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
https://dev.mysql.com/doc/connector-j/en/connector-j-reference-jdbc-url-format.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from devcluster.rules.names.certificates import (
    CERTIFICATE,
    TLS_PORTS,
    read_options,
    reason_of,
    scheme_reason,
)

_NAME = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_WORD = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_IN_SCHEME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+.:_-")
_REST = re.compile(r"[^\s,]*")
_TOKEN_END = re.compile(r"[\s\"'`<>]|[,;|](?=(?:[A-Za-z0-9._-]+=)?[A-Za-z][A-Za-z0-9+.:_-]*://)", re.ASCII)
_AUTHORITY_END = re.compile(r"[/?#;\\)\]}|]")
_LIST_END = re.compile(r"[/?#\)\]}|]")
_BRACKET = re.compile(r"\([^)]*$")
_MEMBER = re.compile(rf"({_NAME})(?::[0-9]{{1,5}})?", re.ASCII)
_BEFORE_PORT = re.compile(
    rf"(?:(?<![^\s,;=(|])|(?<=@)|(?<=@//))({_NAME}):[0-9]{{1,5}}(?=$|[\s,;)/?|]|(?<=[0-9]):[A-Za-z])",
    re.ASCII,
)
_BEHIND_WORD = re.compile(
    r"(?:(?<=^)|(?<=[\s;,(&]))(?:host|hostname|hostaddr|server|servers|servername|addr|address|endpoint|"
    r"data source|brokers?|bootstrap\.servers)\s*=\s*(?:tcp:)?",
    re.ASCII | re.IGNORECASE,
)
_WORD_LIST = re.compile(
    r"[A-Za-z0-9.:-]+(?:,[A-Za-z0-9.:-]+)*(?=$|[\s;)&\\]|,[A-Za-z][A-Za-z0-9_. -]*=)", re.ASCII
)
_WORD_IN_JSON = r"\"[A-Za-z0-9_.:\[\]-]*\"|'[A-Za-z0-9_.:\[\]-]*'|[A-Za-z0-9_.:-]+"
_JSON_LIST = re.compile(rf"\[\s*(?:(?:{_WORD_IN_JSON})\s*(?:,\s*|(?=\])))+\]", re.ASCII)
_ITEM = re.compile(rf"(?<![^\s,;|\[\"'])({_NAME})(?::[0-9]{{1,5}})?(?=$|[\s,;|\]\"'])", re.ASCII)
_IN_CALL = re.compile(rf"(?:(?<=@tcp\()|(?<=@tcp[46]\())({_NAME})\)", re.ASCII)
_ORACLE = re.compile(rf"jdbc:oracle:[a-z0-9]+:[^@\s]*@(?://)?({_NAME})(?=$|[/?\s])", re.ASCII)
_PORT = re.compile(r":([0-9]{1,5})(?![0-9])")
_LOGIN = re.compile(r"[^@/]*@(?=[A-Za-z0-9.-]+(?::[0-9]{1,5})?$)", re.ASCII)
_SWITCH = re.compile(r"([?&](?:use)?(?:ssl|tls))(?=&|$)", re.ASCII | re.IGNORECASE)  # no value means yes
_NO_HOST = frozenset(
    ("file", "unix", "unixgram", "socket", "sqlite", "s3", "s3a", "s3n", "gs", "data", "classpath")
)
_ANYWHERE = re.compile(rf"(?<![^\s,;|(@=\"'\[{{])({_NAME})(?=$|[\s,;|)\"'\]}}/:])", re.ASCII)
_LIST = re.compile(r"[A-Za-z0-9_.:\[\]-]+(?:[\s,;|]+[A-Za-z0-9_.:\[\]-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Host:
    """``text[start:end]`` is the short name of a Service.  ``kept``: why it stays, or ''."""

    start: int
    end: int
    kept: str = ""


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
    bare = blank_urls(text)
    found = dict.fromkeys(_in_text(bare), "")
    found |= {span: _reason(text, *url) for url in urls for span in _in_url(text, *url)}
    if whole and is_list(text):
        found |= {match.span(1): "" for match in _ITEM.finditer(bare)}
    if every:
        found |= {match.span(1): "" for match in _ANYWHERE.finditer(bare) if _one_login(bare, match)}
    known = sorted(span for span in found if text[slice(*span)] in services)
    return tuple(Host(*span, found[span] or _port_reason(text, span[1])) for span in known)


def _in_text(text: str) -> Iterator[tuple[int, int]]:
    """Rules 2 and 3."""
    yield from (match.span(1) for match in _BEFORE_PORT.finditer(text) if _one_login(text, match))
    yield from (match.span(1) for match in _IN_CALL.finditer(text))
    yield from (match.span(1) for match in _ORACLE.finditer(text))
    yield from _behind_words(text)


def _port_reason(text: str, end: int) -> str:
    port = _PORT.match(text, end)
    return CERTIFICATE if port and int(port[1]) in TLS_PORTS else ""


def _reason(text: str, scheme: int, start: int, end: int) -> str:
    """Why the hosts of one URL stay, as far as it tells by itself."""
    reason = scheme_reason(text[scheme : start - 3])
    return reason or reason_of(read_options(_SWITCH.sub(r"\1=true", text[start:end])))


def qualify(text: str, hosts: Collection[Host], namespace: str) -> str:
    """*text* with ``.namespace`` behind each of *hosts* that does not stay."""
    parts, at = [], 0
    for host in hosts:
        if not host.kept:
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
    """Whether one of *services* occurs in *text* at all; quick, however many there are."""
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


def blank_urls(text: str) -> str:
    """*text* with its URLs (and their schemes) as one strange letter each, at the same places."""
    parts, at = [], 0
    for start, _, end in find_urls(text):
        parts += [text[at:start], "\x00" * (end - start)]
        at = end
    return "".join(parts) + text[at:]


def _in_url(text: str, scheme: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    words = re.split(r"[^a-z0-9]+", text[scheme : start - 3].lower())
    if _NO_HOST & set(words):
        return
    if words[-1] in ("dns", "passthrough") and text[start : start + 1] == "/":  # gRPC's: no authority
        start += 1
    stop = _AUTHORITY_END.search(text, start, end)
    close = stop.start() if stop else end
    login = text.rfind("@", start, close)
    if login < 0 and _login_behind(text[close:end]) and ":" in text[start:close]:
        return
    for at, part in _with_logins(text, start, end) or _members(text, login + 1 or start, close):
        if member := _MEMBER.fullmatch(part):
            yield at, at + len(member[1])
    rest = text[start:end].replace("?", "&")
    for low, high in _behind_words(rest):  # address=(host=db)(port=1), or no authority and ?host=db
        if start == close or _BRACKET.search(rest, max(0, low - 200), low):
            yield start + low, start + high


def _members(text: str, at: int, close: int, marks: str = ",") -> list[tuple[int, str]]:
    """Each element of a list, and where it is."""
    at += text.startswith("[", at)
    found = []
    for part in re.split(f"[{marks}]", text[at:close]):
        found.append((at, part))
        at += len(part) + 1
    return found


def _with_logins(text: str, start: int, end: int) -> list[tuple[int, str]]:
    """The members of ``u:p@a,u:p@b``, without their logins; [] where not each has one of the same form."""
    stop = _LIST_END.search(text, start, end)
    members = _members(text, start, stop.start() if stop else end, ",;")
    logins = [_LOGIN.match(part) for _, part in members]
    forms = {":" in login[0] if login else None for login in logins}
    if len(members) < 2 or len(forms) > 1 or None in forms:
        return []
    return [
        (at + len(login[0]), part[len(login[0]) :])
        for (at, part), login in zip(members, logins, strict=True)
        if login
    ]


def _login_behind(rest: str) -> bool:
    """Whether what looks like a path may be the rest of a password."""
    return "@" in re.split(r"[?#]", rest, maxsplit=1)[0].replace("/@", "")


def _one_login(text: str, match: re.Match[str]) -> bool:
    """Not where a later ``@`` of the same word makes this a part of the password."""
    rest = _REST.match(text, match.end())
    return rest is None or "@" not in rest[0]


def _behind_words(text: str) -> Iterator[tuple[int, int]]:
    for word in _BEHIND_WORD.finditer(text):
        names = _WORD_LIST.match(text, word.end())
        if names is None:
            continue
        for at, part in _members(text, names.start(), names.end()):
            if member := _MEMBER.fullmatch(part):
                yield at, at + len(member[1])
