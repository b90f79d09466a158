"""When kubelet has finished writing a set of files, and in which order a copy is changed."""

from __future__ import annotations

import pytest

from devcluster.rules.volume.projected import in_order, is_settled, swapped, version_of
from devcluster.rules.volume.tree import Entry


def _tree(*names: str) -> dict[str, Entry]:
    """``a -> b`` is a link, ``a/`` a folder."""
    tree = {}
    for name in names:
        path, _, link = name.partition(" -> ")
        kind = "l" if link else "d" if path.endswith("/") else "f"
        path = path.rstrip("/")
        tree[path] = Entry(path, kind, 0o644, 0, 0, 0, 0, link)  # type: ignore[arg-type]
    return tree


@pytest.mark.parametrize(
    ("names", "version", "settled"),
    [
        (("..1/", "..1/a", "..data -> ..1", "a -> ..data/a"), "..1", True),
        (
            ("..1/", "..1/a", "..2/", "..data -> ..1", "a -> ..data/a"),
            "..1",
            False,
        ),  # a new set is being written
        (("..1/", "..2/", "..2/a", "..data -> ..1", "..data_tmp -> ..2"), "..1", False),
        (
            ("..1/", "..1/a", "..2/", "..2/a", "..data -> ..2", "a -> ..data/a"),
            "..2",
            False,
        ),  # not removed yet
        (("..1/", "..data -> ..2", "a -> ..data/a"), "..2", False),  # renamed after the folders were listed
        (("..data -> ..1",), "..1", False),
        (("a", "b/", "b/..data -> c"), "", False),  # kubelet did not write this
        (("..data/", "..data/a"), "", False),
    ],
)
def test_a_set_counts_once_kubelet_has_finished(names: tuple[str, ...], version: str, settled: bool) -> None:
    assert (version_of(_tree(*names)), is_settled(_tree(*names))) == (version, settled)


def test_what_nobody_remembers_is_kubelets_by_its_shape() -> None:
    tree = _tree(".", ".env", "..1/", "..1/a", "..data -> ..1", "a -> ..data/a", "b -> ..data/a", "c")
    assert sorted(swapped(tree)) == ["..1", "..1/a", "..data", "a"]


def test_what_links_lead_through_comes_first() -> None:
    made = _tree("-a -> ..data/-a", "..data -> ..2", "z -> ..data/z")
    assert [entry.path for entry in in_order(made.values())] == ["..data", "-a", "z"]
