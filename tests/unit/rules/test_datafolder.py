"""Which volumes hold a database."""

from __future__ import annotations

import pytest

from devcluster.rules.volume.datafolder import find_data_folder
from devcluster.rules.volume.tree import Entry, EntryType


def tree(*paths: str) -> dict[str, Entry]:
    """A path with a ``/`` behind it is a directory."""
    kinds: dict[str, EntryType] = {path.rstrip("/"): "d" if path.endswith("/") else "f" for path in paths}
    return {path: Entry(path, kind, 0o644, 0, 0, 0, 0) for path, kind in kinds.items()}


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (("data/", "data/PG_VERSION", "data/base/1/PG_VERSION"), ("PostgreSQL", "data/PG_VERSION")),
        (("ibdata1", "mysql/"), ("MySQL", "ibdata1")),
        (("WiredTiger", "a/ibdata1"), ("MongoDB", "WiredTiger")),
        (("dump.rdb", "appendonlydir/"), ("Redis", "appendonlydir")),
        (("x/data.mdb",), ("LMDB", "x/data.mdb")),
        (("app.sqlite", "app.sqlite-wal"), ("SQLite", "app.sqlite-wal")),
        (("app.sqlite", "dump.rdb", "PG_VERSION/", "appendonlydir", "wal", "x.mdb.txt"), None),
        ((), None),
    ],
)
def test_data_folders(paths: tuple[str, ...], found: tuple[str, str] | None) -> None:
    assert find_data_folder(tree(*paths)) == found


def test_a_link_is_none() -> None:
    link = Entry("PG_VERSION", "l", 0o777, 0, 0, 0, 0, "elsewhere")
    assert find_data_folder({"PG_VERSION": link}) is None
