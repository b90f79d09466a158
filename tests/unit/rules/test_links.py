"""Which file a pattern means, through links."""

from __future__ import annotations

from devcluster.rules.volume.links import named_files, resolve
from devcluster.rules.volume.tree import Entry, EntryType


def entry(path: str, kind: EntryType, link: str = "") -> Entry:
    return Entry(path, kind, 0o644, 0, 0, 1, 1, link)


CONFIG_MAP = {
    item.path: item
    for item in (
        entry(".", "d"),
        entry("..2026", "d"),
        entry("..2026/conf.d", "d"),
        entry("..2026/conf.d/a.conf", "f"),
        entry("..2026/nginx.conf", "f"),
        entry("..data", "l", "..2026"),
        entry("conf.d", "l", "..data/conf.d"),
        entry("nginx.conf", "l", "..data/nginx.conf"),
    )
}


def test_a_file_of_a_config_map_is_meant_by_its_link() -> None:
    assert named_files(CONFIG_MAP, ["nginx.conf"]) == {"..2026/nginx.conf": "nginx.conf"}
    assert named_files(CONFIG_MAP, ["conf.d/*.conf"]) == {"..2026/conf.d/a.conf": "conf.d/a.conf"}
    assert named_files(CONFIG_MAP, ["*.conf"]) == {"..2026/nginx.conf": "nginx.conf"}
    assert named_files(CONFIG_MAP, ["other"]) == {}


def test_a_hard_link_means_its_file() -> None:
    tree = {item.path: item for item in (entry("a", "f"), entry("b.conf", "h", "a"))}
    assert named_files(tree, ["b.conf"]) == {"a": "b.conf"}


def test_links_that_lead_nowhere_mean_nothing() -> None:
    links = {"round": "round", "out": "../x", "far": "/etc/x", "gone": "none", "up": "d/../.."}
    tree = {".": entry(".", "d"), "d": entry("d", "d")} | {
        name: entry(name, "l", link) for name, link in links.items()
    }
    assert [resolve(tree, name) for name in links] == [None] * 5
    assert named_files(tree, ["**"]) == {}
    assert resolve(CONFIG_MAP, "conf.d/../nginx.conf") == "..2026/nginx.conf"
