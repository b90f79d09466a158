"""Whether a volume contains a database's data folder: such files change together, so a copy is inconsistent.

Rule: these names and no others, at any depth, since a claim is often mounted above the folder.  The naive
way, to look only at the top, misses ``/var/lib/postgresql`` with its ``data/pgdata``.

Sources: https://www.postgresql.org/docs/current/storage-file-layout.html
https://dev.mysql.com/doc/refman/8.4/en/innodb-system-tablespace.html
https://www.mongodb.com/docs/manual/core/wiredtiger/
https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
http://www.lmdb.tech/doc/ (data.mdb), https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import posixpath

from devcluster.rules.volume.tree import Tree

_FILES = {"PG_VERSION": "PostgreSQL", "ibdata1": "MySQL", "WiredTiger": "MongoDB"}
_FOLDERS = {"appendonlydir": "Redis"}
_ENDINGS = {".mdb": "LMDB", "-wal": "SQLite"}


PATTERNS = (*_FILES, *_FOLDERS, *(f"*{ending}" for ending in _ENDINGS))
"""Globs of the names that tell, without their folders."""


def find_server_folder(tree: Tree) -> tuple[str, str] | None:
    """(database, folder) of a server's data folder, '' for the root: a file of SQLite or LMDB says nothing of
    those beside it."""
    found = find_data_folder(tree)
    if found is None or found[0] in _ENDINGS.values():
        return None
    return found[0], posixpath.dirname(found[1])


def name_database(path: str) -> str:
    """Whose a name of ``PATTERNS`` is."""
    return _tells(path, "d") or _tells(path, "f") or "a database"


def find_data_folder(tree: Tree) -> tuple[str, str] | None:
    """(database, path) of the name that tells; of several the one nearest to the top."""
    found = [
        (path.count("/"), path, kind) for path, entry in tree.items() if (kind := _tells(path, entry.type))
    ]
    if not found:
        return None
    _, path, kind = min(found)
    return kind, path


def _tells(path: str, kind: str) -> str:
    name = posixpath.basename(path)
    if kind == "d":
        return _FOLDERS.get(name, "")
    if kind != "f":
        return ""
    return _FILES.get(name) or next((it for end, it in _ENDINGS.items() if name.endswith(end)), "")
