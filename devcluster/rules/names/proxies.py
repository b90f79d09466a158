"""NO_PROXY and its kin: a host that is rewritten is listed under its new name as well.

If only ``db`` is listed, a program behind a proxy sends requests for ``db.shop`` to the proxy.  The new name
is added beside the old one, because other programs still use that.

Sources: https://curl.se/docs/manpage.html#--noproxy
https://docs.oracle.com/javase/8/docs/technotes/guides/net/proxies.html (http.nonProxyHosts)
"""

from __future__ import annotations

import re
from collections.abc import Collection

PROXY = "the file's own NO_PROXY lists it"

_LIST = re.compile(
    r"(?P<key>[A-Za-z_.-]*(?:no_?proxy|nonProxyHosts))[\"']?\s*[=:]\s*[\"']?(?P<value>[A-Za-z0-9.:*,|/_-]*)",
    re.ASCII | re.IGNORECASE,
)


def proxy_lists(text: str) -> tuple[tuple[int, int], ...]:
    """Where such lists are within a text: ``-Dhttp.nonProxyHosts=localhost|db``."""
    return tuple(match.span("value") for match in _LIST.finditer(text))


def extend_proxy_list(value: str, names: Collection[str], namespace: str) -> tuple[str, tuple[str, ...]]:
    """*value* with ``name.namespace`` behind each of *names* that it lists, with or without a port; and which
    were added."""
    added: list[str] = []
    present = set(re.split(r"[\s,|;]+", value))
    comma = next((mark for mark in ",|;" if mark in value), " " if " " in value.strip() else ",")

    def longer(entry: re.Match[str]) -> str:
        new = f"{entry['name']}.{namespace}{entry['port']}"
        if entry["name"] not in names or new in present:
            return entry[0]
        present.add(new)
        added.append(entry["name"])
        return f"{entry[0]}{comma}{new}"

    text = re.sub(r"(?<![^\s,|;])(?P<name>[a-z0-9-]+)(?P<port>(?::[0-9]+)?)(?![^\s,|;])", longer, value)
    return text, tuple(dict.fromkeys(added))


def extend_lists_in(text: str, names: Collection[str], namespace: str) -> tuple[str, tuple[str, ...]]:
    """The same for each list within a text."""
    parts, at = [], 0
    added: dict[str, None] = {}
    for start, end in proxy_lists(text):
        value, new = extend_proxy_list(text[start:end], names, namespace)
        added |= dict.fromkeys(new)
        parts += [text[at:start], value]
        at = end
    return "".join(parts) + text[at:], tuple(added)
