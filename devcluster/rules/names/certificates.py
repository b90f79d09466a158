"""Which settings make a host's name more than a way to its address.

A certificate contains the name that the client dials, so if one is checked the name must stay; and an HTTP
server is told by which name it was called.  A URL says it by its scheme (``rediss``), a connection string by
an option (``sslmode=verify-full``), a variable for another one (``DB_SSLMODE`` for ``DB_HOST``).

Rules: encryption without a check (``sslmode=require`` in libpq, ``tls=skip-verify``) asks for nothing; a
value that nobody here knows (``tls=custom``) asks for a check, since a name that stays works everywhere in
the namespace; a setting counts for what begins with the same words, and no others.

The naive way, to look for "ssl" in each value, keeps ``sslmode=disable`` and misses ``MYSQL_ATTR_SSL_CA``.

Sources: https://www.postgresql.org/docs/current/libpq-ssl.html
https://dev.mysql.com/doc/connector-j/en/connector-j-connp-props-security.html
https://github.com/go-sql-driver/mysql#tls
https://kafka.apache.org/documentation/#brokerconfigs_security.protocol
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from devcluster.rules.names.variables import words_of

CERTIFICATE = "a certificate is checked against it"
HOST_KEY = "its host key is known by it"
HTTP = "an HTTP server is told the name that was called"

_HTTP = frozenset(("http", "ws", "h2c"))
_SSH = frozenset(("ssh", "sftp", "scp"))
_TLS = frozenset(("https", "wss", "tls", "ssl", "mtls", "srv", "ssc", "s", "sb", "quic", "doh"))
_HAVE_TLS = frozenset(  # with an s behind it
    (
        *("amqp", "clickhouse", "coap", "couchbase", "ftp", "grpc", "iiop", "imap", "irc", "kafka", "ldap"),
        *("memcached", "mqtt", "nats", "nntp", "pop3", "pulsar", "redis", "rtmp", "rtsp", "sip", "smtp"),
        *("stomp", "stun", "t3", "tcp", "telnet", "turn", "valkey", "wasb", "abfs", "xmpp"),
    )
)
TLS_PORTS = frozenset((443, 465, 636, 853, 993, 995, 2376, 3269, 5671, 5986, 6443, 6697, 8443, 8883, 9443))
"""Ports on which nothing else is usual; of others the number says nothing."""

_FLAG = r"(?:_?(?:ENABLED?|ACTIVE|ON|REQUIRED?))?"
_VERIFIED = "VERIFY|VERIFICATION|CHECK"
_WHAT = r"SSL|TLS|CERT(?:IFICATE)?S?|HOST(?:_?NAMES?)?|PEER|SERVER_?CERT(?:IFICATE)?|IDENTITY|CA"
_CA = r"CA|CA_?CERTS?|CA_?CERTIFICATES?|ROOT_?CERTS?|TRUST_?STORE|CERTIFICATE_?AUTHORIT(?:Y|IES)|CA_?BUNDLE"
_KINDS = (
    ("mode", r"(?:SSL|TLS)_?MODE|(?:(?:SSL|TLS)_?)?VERIFICATION_?MODE"),
    (
        "switch",
        r"(?:(?:USE|ENABLE|REQUIRE|WITH)_?)?(?:SSL|TLS|MTLS|START_?TLS|SECURE|ENCRYPT|ENCRYPTION|HTTPS)"
        + _FLAG,
    ),
    ("scheme", r"SCHEME|PROTOCOL|PROTO|TRANSPORT|SECURITY_?PROTOCOL|NEGOTIATION_?TYPE"),
    (
        "authority",
        rf"(?:(?:(?:SSL|TLS|X509|EXTRA)_?)*(?:{_CA})|(?:SSL|TLS)_?(?:CLIENT_?)?CERT(?:IFICATE)?)"
        r"(?:_?(?:FILE|PATH|LOCATION|PEM|DIR))?|OTLP(?:_[A-Z]+)?_CERTIFICATE",
    ),
    (
        "check",
        rf"(?:(?:{_WHAT})_?)+(?:{_VERIFIED}){_FLAG}|(?:{_VERIFIED})_?(?:{_WHAT})|REJECT_?UNAUTHORIZED|"
        r"(?:SSL_?)?CERT_?REQS|(?:SSL_?)?ENDPOINT_?IDENTIFICATION_?ALGORITHM",
    ),
    (
        "trust",
        r"(?:(?:SSL|TLS)_?)?(?:INSECURE(?:_?SKIP_?VERIFY)?|(?:SKIP|NO)_?(?:(?:SSL|TLS)_?)?VERIFY|TRUST_?SERVER_?CERTIFICATE|"
        r"ALLOW_?INVALID_?(?:CERTIFICATES|HOST_?NAMES)|INVALID_?HOST_?NAME_?ALLOWED)",
    ),
)
_KEY = re.compile(
    r"(?P<group>|PG|.*?_(?:PG)?)(?:" + "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS) + ")"
)
_FILLERS = re.compile(
    r"_(?:ATTR|CLIENT|CONFIG|CONNECTION|CONN|DRIVER|EXTRA|FLAGS|JDBC|OPTIONS?|OPTS|PARAMS|PARAMETERS|PROPERTIES|"
    r"QUERY|SSL|TLS|SECURITY)$"
)
_FALSE = frozenset(
    ("", "0", "false", "no", "off", "n", "f", "none", "null", "cert_none", "disabled", "disable")
)
_UNCHECKED = frozenset(("skip-verify", "no-verify", "insecure", "noverify"))
_OPEN = _FALSE | {"allow", "prefer", "preferred", "require", "required", "optional", "opportunistic", "plain"}
_FAMILIES = (
    frozenset(("PG", "PGSQL", "POSTGRES", "POSTGRESQL", "DB", "DATABASE", "JDBC")),
    frozenset(("MYSQL", "MARIADB", "DB", "DATABASE", "JDBC")),
)
_OPTION = re.compile(
    r"(?:^|[\s,;?&(\[{|\"'])(?:--?(?:D(?=[a-z]))?)?(?P<key>[A-Za-z][A-Za-z0-9_.-]*(?: [A-Za-z]+){0,2})"
    r"(?:[\"'][ \t]*,|[\"']?[ \t]*(?:=>|[=:]))[ \t]*[\"']?(?P<value>\{|[A-Za-z0-9_./+%~-]*)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one setting says of the hosts whose key begins with *group* (words: ``DB`` of ``DB_SSLMODE``, ''
    of ``sslmode``).  ``reason`` '': that no certificate is checked.  ``exact``: of those alone that differ in
    their last word, as ``API_HOST`` does from ``API_PORT``."""

    group: str
    reason: str
    exact: bool = False

    def covers(self, words: str) -> bool:
        """Whether a host behind the key *words* is meant."""
        if self.exact:
            return words.rpartition("_")[0] == self.group
        if not self.group:
            return "_" not in words or words == "BOOTSTRAP_SERVERS"
        if words == self.group or f"{words}_".startswith(f"{self.group}_"):
            return True
        parts = set(re.sub(r"^PG(?=[A-Z])", "PG_", words).split("_"))
        return any(self.group in family and parts & family for family in _FAMILIES)


def read_setting(key: str, value: str) -> Ask | None:
    """What *key* with *value* asks for; None where it is about something else, or asks for nothing."""
    found = _KEY.fullmatch(words_of(key))
    if found is None:
        return None
    reason = _reason(str(found.lastgroup), value.strip().lower())
    return None if reason is None else Ask(group_of(found["group"]), reason)


def read_port(key: str, value: str) -> Ask | None:
    """What a port in a variable of its own asks for: ``API_PORT=443`` beside ``API_HOST``.  ``PORT`` alone is
    where the pod itself listens."""
    group, _, last = words_of(key).rpartition("_")
    tls = last == "PORT" and value.isdecimal() and int(value) in TLS_PORTS
    return Ask(group, CERTIFICATE, exact=True) if group and tls else None


def group_of(words: str) -> str:
    """*words* without those that don't say whose setting it is: ``KC_DB_URL`` of ``KC_DB_URL_PROPERTIES``."""
    words = words.partition("_PROPERTIES_")[0].strip("_")
    while shorter := _FILLERS.search(words):
        words = words[: shorter.start()]
    return words


def _reason(kind: str, value: str) -> str | None:
    match kind:
        case "mode" | "switch":
            if value in _UNCHECKED:
                return ""
            return None if value in _OPEN else CERTIFICATE
        case "scheme":
            return scheme_reason(value) or None
        case "authority":
            return CERTIFICATE if value else None
        case "check":
            return "" if value in _FALSE else CERTIFICATE
        case _:  # "trust": whatever the server shows
            return None if value in _FALSE else ""


def scheme_reason(scheme: str) -> str:
    """Why the host behind *scheme* (``jdbc:postgresql``, ``mongodb+srv``, ``SASL_SSL``) stays, or ''."""
    parts = set(re.split(r"[^a-z0-9]+", scheme.lower()))
    if parts & _TLS or any(part[-1:] == "s" and part[:-1] in _HAVE_TLS for part in parts):
        return CERTIFICATE
    if parts & _HTTP:
        return HTTP
    return HOST_KEY if parts & _SSH else ""


def read_options(text: str) -> Iterator[Ask]:
    """What is asked for within a text: a query, a connection string, JSON."""
    for option in _OPTION.finditer(text):
        if (ask := read_setting(option["key"], option["value"])) is not None:
            yield ask


def reason_of(asks: Iterable[Ask]) -> str:
    """Of all that is said about one host: why it stays, or ''."""
    reasons = {ask.reason for ask in asks}
    if "" in reasons:
        reasons.discard(CERTIFICATE)
    return next((reason for reason in (CERTIFICATE, HOST_KEY, HTTP) if reason in reasons), "")
