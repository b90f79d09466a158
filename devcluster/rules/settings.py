"""Settings in a text, ``KEY = VALUE`` in whatever manner: the key says whether its value is a host.

``define( 'DB_HOST', 'db' );``, ``host = db``, ``"host": "db"``, ``mysql:host=db;dbname=db``,
``--host=db``, ``-Ddb.host=db``: here ``db`` is a host.  ``define( 'DB_NAME', 'db' );`` stays, and so does a
password that looks like an address.  Beside that the rules of ``hosts`` hold within each quoted string, and
in what is not quoted.  A URL's own query is no setting.

Files are such texts, and so are many values of the environment (JSON, connection strings, options).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from devcluster.rules.hosts import Host, find_hosts, find_urls, mentions

_GLUED = "PG|DB|SQL|REDIS|MONGO|MAIL|SMTP|LDAP|RABBITMQ"  # PGHOST is written as one word
_HOST_KEY = re.compile(
    rf"(?:(?:^|_|{_GLUED})(?:HOST|HOSTS|HOSTNAME|HOSTNAMES|SERVER|SERVERS|ADDR|ADDRS|ADDRESS|ADDRESSES)|"
    r"(?:^|_)(?:ENDPOINT|ENDPOINTS|BROKER|BROKERS|UPSTREAM|UPSTREAMS|NODES|SEEDS|SENTINELS|CONTACT_POINTS?|URL|URI)|"
    r"_HOST_NAME)(?:_LIST)?_?[0-9]*$"
)
# A pod's own name, where it listens, and by which names it wants to be called, are no addresses to go to.
_OWN_KEY = re.compile(
    r"^HOSTNAME$|(?:^|_)(?:ALLOWED|TRUSTED|VIRTUAL|BIND|LISTEN|CORS|COOKIE)(?:_|$)|SERVER_NAME"
)
_SECRET_KEY = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|SECRET|TOKEN|KEY|SALT)_?[0-9]*$")
_OTHER_KEY = re.compile(
    r"(?:^|_)(?:USER|USERNAME|USERS|LOGIN|OWNER|GROUP|UID|GID|AUTH|CREDENTIALS?|CREDS?|"
    r"DATABASE|DBNAME|DB_NAME|SCHEMA|IMAGE|TAG|VERSION)_?[0-9]*$"
)
_NAME_KEY = re.compile(r"(?:^|_)NAME[0-9]*$")

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
# PASSWORD=…, whatever its letters are
_SECRET = re.compile(rf"(?:^|[\s,;{{(\[&|:'\"])(?P<key>{_KEY})\s?=\s?(?P<value>[^\s;&'\"]+)", re.ASCII)


def names_host(key: str) -> bool:
    """Whether a variable (or setting) called *key* holds a host by its name: ``DB_HOST``, ``redis.host``."""
    words = words_of(key)
    return bool(_HOST_KEY.search(words)) and not _OWN_KEY.search(words) and not _SECRET_KEY.search(words)


def never_host(key: str, value: str, *, names: bool = False) -> bool:
    """Whether a variable called *key* holds something else: a secret in any case, a user or a database as
    long as it is no URL; with *names* also what is called a name."""
    words = words_of(key)
    if _SECRET_KEY.search(words) or _OWN_KEY.search(words):
        return True
    other = _OTHER_KEY.search(words) is not None or (names and _NAME_KEY.search(words) is not None)
    return other and "://" not in value


def words_of(key: str) -> str:
    """``dbHost`` and ``spring.redis.host`` as ``DB_HOST`` and ``SPRING_REDIS_HOST``."""
    return re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)).upper()


def find_in_text(text: str, services: frozenset[str]) -> tuple[Host, ...]:
    """The hosts in *text*, in order; each line by itself."""
    found: list[Host] = []
    at = 0
    for line in text.split("\n"):
        found += (Host(host.start + at, host.end + at) for host in _find_in_line(line, services))
        at += len(line) + 1
    return tuple(found)


def _find_in_line(line: str, services: frozenset[str]) -> tuple[Host, ...]:
    if not mentions(line, services):
        return ()
    found: set[Host] = set()
    settled: list[tuple[int, int]] = []
    for key, start, end in _settings(line):
        if names_host(key):
            found |= _shifted(line, start, end, services, whole=True)
        elif never_host(key, line[start:end], names=True):
            settled.append((start, end))
    for match in _SECRET.finditer(line):
        if _SECRET_KEY.search(words_of(match["key"])):
            settled.append(match.span("value"))
    for start, end in _parts(line):
        found |= _shifted(line, start, end, services, whole=False)
    free = (host for host in found if not any(low <= host.start < high for low, high in settled))
    return tuple(sorted(free, key=lambda host: host.start))


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


def _parts(line: str) -> Iterator[tuple[int, int]]:
    """Each quoted string, and what is between them."""
    at = 0
    for quoted in _QUOTED.finditer(line):
        yield at, quoted.start()
        yield quoted.start() + 1, quoted.end() - 1
        at = quoted.end()
    yield at, len(line)


def _shifted(line: str, start: int, end: int, services: frozenset[str], *, whole: bool) -> set[Host]:
    part = line[start:end].rstrip("\r")
    return {Host(host.start + start, host.end + start) for host in find_hosts(part, services, whole=whole)}
