"""What the name of a variable, or of a setting in a text, says about its value.

Only the words of the name are looked at: ``dbHost``, ``db.host`` and ``DB_HOST`` are the same.  Three
questions, in this order: is it a secret (then it is never read), is it a name that is compared or that the
pod itself has (then it stays), does it contain a host (then a bare word in it is one).

The naive way, a list of well-known variables, fails at the first chart that is not on it.
"""

from __future__ import annotations

import re

COMPARED = "it is compared, not only dialled"
OWN = "it is a name of the pod itself"

_GLUED = "PG|DB|SQL|REDIS|MONGO|MAIL|SMTP|LDAP|RABBITMQ"  # PGHOST is written as one word
_HOST_KEY = re.compile(
    rf"(?:(?:^|_|{_GLUED})(?:HOST|HOSTS|HOSTNAME|HOSTNAMES|SERVER|SERVERS|ADDR|ADDRS|ADDRESS|ADDRESSES)|"
    r"(?:^|_)(?:ENDPOINT|ENDPOINTS|BROKER|BROKERS|UPSTREAM|UPSTREAMS|NODES|SEEDS|SENTINELS|CONTACT_?POINTS?|URL|URI)|"
    r"_HOST_NAME)(?:_LIST)?_?[0-9]*$"
)
_SECRET_KEY = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|SECRET|TOKEN|KEY|SALT)_?[0-9]*$")
_OTHER_KEY = re.compile(
    r"(?:^|_)(?:USER|USERNAME|USERS|LOGIN|OWNER|GROUP|UID|GID|AUTH|CREDENTIALS?|CREDS?|"
    r"DATABASE|DBNAME|DB_NAME|SCHEMA|IMAGE|TAG|VERSION)_?[0-9]*$"
)
_NAME_KEY = re.compile(r"(?:^|_)NAME[0-9]*$")
# Words that are long enough count wherever they are: ISSUERURI is one word in Spring's variables.
_COMPARED_KEY = re.compile(
    r"ISSUER|AUDIENCE|CALLBACK|REDIRECT|REFERR?ER|ALLOWED|ALLOWLIST|WHITELIST|TRUSTED|COOKIE|CSRF|ENTITY_?ID|"
    r"HOST_HEADER|AUTHORITY|CONTENT_SECURITY|"
    r"(?:^|_)(?:ISS|AUD|CSP|REALMS?|ORIGINS?|CORS[A-Z]*|DOMAINS?|RP_?ID|RELYING_PARTY|PRINCIPALS?|SANS?|SNI|"
    r"COMMON_NAME)(?:_|$)"
)
_OWN_KEY = re.compile(
    r"^HOSTNAME$|^KC_HOSTNAME|(?:^|_)(?:VIRTUAL_HOST|BIND|LISTEN(?:ERS?)?|ADVERTISED?)(?:_|$)|SERVER_?NAME|"
    r"(?:^|_)(?:PUBLIC|EXTERNAL|CANONICAL|SITE)_(?:BASE_)?(?:URL|URI|HOST|HOSTNAME|ADDR|ADDRESS)$"
)
_PROXY_LIST = re.compile(r"(?:^|_)(?:NO_?PROXY|NON_?PROXY_?HOSTS)$")


def words_of(key: str) -> str:
    """``dbHost`` and ``spring.redis.host`` as ``DB_HOST`` and ``SPRING_REDIS_HOST``."""
    return re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)).strip("_").upper()


def names_host(key: str) -> bool:
    """Whether *key* holds a host by its name: ``DB_HOST``, ``redis.host``."""
    words = words_of(key)
    other = names_secret(key) or names_proxy_list(key) or bool(kept_by_name(key))
    return _HOST_KEY.search(words) is not None and not other


def names_secret(key: str) -> bool:
    return _SECRET_KEY.search(words_of(key)) is not None


def names_proxy_list(key: str) -> bool:
    """Whether *key* lists the hosts that are reached without a proxy."""
    return _PROXY_LIST.search(words_of(key)) is not None


def never_host(key: str, value: str, *, names: bool = False) -> bool:
    """Whether *key* holds something else: a secret in any case, a user or a database as long as it is no
    URL; with *names* also what is called a name."""
    words = words_of(key)
    if names_secret(key) or names_proxy_list(key):
        return True
    other = _OTHER_KEY.search(words) is not None or (names and _NAME_KEY.search(words) is not None)
    return other and "://" not in value


def kept_by_name(key: str) -> str:
    """The reason why each name of a Service in *key* stays; '' where its name gives none."""
    words = words_of(key)
    if _COMPARED_KEY.search(words):
        return COMPARED
    return OWN if _OWN_KEY.search(words) else ""
