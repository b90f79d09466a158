"""Two trees that both change: nothing of hers is lost, nothing of the pod's is missed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.rules.volume.tree import (
    Entry,
    EntryType,
    FillPlan,
    keep_together,
    local_changes,
    parents,
    parse_entry,
    parse_tree,
    plan_fill,
    render_entry,
)

Tree = dict[str, Entry]


def tree(*names: str) -> Tree:
    """``a``: a file, ``a/``: a directory, ``a=3``: a file of version 3, ``b->a``: a hard link."""
    result: Tree = {}
    for text in (".", *names):
        name, _, version = text.partition("=")
        name, _, link = name.partition("->")
        kind: EntryType = "d" if name.endswith("/") or name == "." else "h" if link else "f"
        path = name.rstrip("/")
        result[path] = Entry(path, kind, 0o755, 0, 0, 0, int(version or 0), link)
    return result


def shown(plan: FillPlan) -> str:
    made = ",".join(entry.path for entry in plan.make)
    return (
        f"fetch {','.join(plan.fetch)} make {made} delete {','.join(plan.delete)} kept {','.join(plan.kept)}"
    )


BASE = ("a", "d/", "d/x", "d/y")


@pytest.mark.parametrize(
    ("pod", "local", "expected"),
    [
        (BASE, BASE, "fetch  make  delete  kept "),
        (("a=1", "d/", "d/x", "d/y"), BASE, "fetch a make  delete  kept "),
        (("a=1", "d/", "d/x", "d/y"), ("a=2", "d/", "d/x", "d/y"), "fetch  make  delete  kept a"),
        (("a=1", "d/", "d/x", "d/y"), ("a=1", "d/", "d/x", "d/y"), "fetch  make  delete  kept "),
        (("a=1", "d/", "d/x", "d/y"), ("d/", "d/x", "d/y"), "fetch  make  delete  kept a"),
        (BASE, ("a=2", "d/", "d/x", "d/y"), "fetch  make  delete  kept "),
        (("a",), BASE, "fetch  make  delete d/y,d/x,d kept "),
        (("a",), (*BASE, "d/mine"), "fetch  make  delete d/y,d/x kept "),
        (("a",), ("a", "d/", "d/x=2", "d/y"), "fetch  make  delete d/y kept d/x"),
        (("a", "d=1"), BASE, "fetch d make  delete d/y,d/x kept "),
        (("a", "d=1"), (*BASE, "d/mine"), "fetch  make  delete d/y,d/x kept d"),
        ((*BASE, "n/", "n/x"), BASE, "fetch n/x make n delete  kept "),
        ((*BASE, "n/", "n/x"), (*BASE, "n/"), "fetch n/x make  delete  kept "),
        ((*BASE, "n"), (*BASE, "n=2"), "fetch  make  delete  kept n"),
        (("a", "d/", "d/x=1", "d/y"), ("a", "d"), "fetch  make  delete  kept d/x"),
    ],
)
def test_what_a_fill_does(pod: tuple[str, ...], local: tuple[str, ...], expected: str) -> None:
    assert shown(plan_fill(tree(*BASE), tree(*pod), tree(*BASE), tree(*local))) == expected


@pytest.mark.parametrize(
    ("folder", "local", "expected"),
    [
        ("d", BASE, "fetch a,d/x,d/z make  delete d/y kept "),  # nothing of hers: it follows the pod
        ("d", ("a=2", "d/", "d/x", "d/y"), "fetch d/x,d/z make  delete d/y kept a"),
        ("d", ("a", "d/", "d/x", "d/y=2"), "fetch a make  delete  kept d/x,d/y,d/z"),
        ("", (*BASE, "mine"), "fetch  make  delete  kept a,d/x,d/y,d/z"),
    ],
)
def test_a_databases_folder_is_one_thing(folder: str, local: tuple[str, ...], expected: str) -> None:
    pod, now = tree("a=1", "d/", "d/x=1", "d/z"), tree(*local)
    plan = plan_fill(tree(*BASE), pod, tree(*BASE), now)
    assert shown(keep_together(plan, local_changes(tree(*BASE), now), folder)) == expected


def test_other_names_of_a_file_that_travels_are_made_anew() -> None:
    before, now = tree("a", "b->a"), tree("a=1", "b->a")
    assert shown(plan_fill(before, now, before, before)) == "fetch a make b delete  kept "


def test_all_of_it_is_one_stream() -> None:
    now = tree(*BASE)
    assert plan_fill({}, now, {}, {}).whole
    assert plan_fill({}, now, {}, tree()).whole is False  # the root is as it should be
    assert shown(plan_fill({}, now, {}, now)) == "fetch  make  delete  kept "


def test_what_is_rewritten_otherwise_travels_again_unless_it_was_changed_here() -> None:
    before = tree("a", "b")
    local = tree("a", "b=2")
    plan = plan_fill(before, before, before, local, again=("a", "b"))
    assert shown(plan) == "fetch a make  delete  kept b"


NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/e", "d/e/a", "f/a", "f"])
CHANGES = st.dictionaries(NAMES, st.sampled_from(["gone", "dir", 1, 2, 3]), max_size=6)


def changed(base: Mapping[str, Entry], changes: Mapping[str, str | int]) -> Tree:
    result = dict(base)
    for name, what in sorted(changes.items()):
        _without(result, name)
        if what == "gone":
            continue
        for parent in reversed(parents(name)):
            if result.get(parent, Entry(parent, "f", 0, 0, 0, 0, 0)).type != "d":
                _without(result, parent)
                result[parent] = Entry(parent, "d", 0o755, 0, 0, 0, 0)
        kind: EntryType = "d" if what == "dir" else "f"
        result[name] = Entry(name, kind, 0o755, 0, 0, 0, 0 if what == "dir" else int(what))
    return result


def _without(result: Tree, name: str) -> None:
    for path in [path for path in result if path == name or path.startswith(name + "/")]:
        del result[path]


def applied(plan: FillPlan, pod: Tree, local: Tree) -> Tree:
    """What a target does with a plan: remove, then make, a name in the way goes."""
    result = dict(local)
    for path in plan.delete:
        _without(result, path)
    for path in sorted(plan.touched):
        if pod[path].type != "d" or result.get(path, pod[path]).type != "d":
            _without(result, path)
        for parent in parents(path):
            assert result[parent].type == "d", "made before what is in it"
        result[path] = pod[path]
    return result


@given(CHANGES, CHANGES)
def test_without_changes_here_the_copy_becomes_the_pod(first: dict[str, str], then: dict[str, str]) -> None:
    before = changed(tree(), first)
    now = changed(before, then)
    plan = plan_fill(before, now, before, before)
    assert plan.kept == ()
    assert applied(plan, now, before) == now


@given(CHANGES, CHANGES, CHANGES)
def test_what_she_changed_stays(first: dict[str, str], there: dict[str, str], here: dict[str, str]) -> None:
    before = changed(tree(), first)
    pod, local = changed(before, there), changed(before, here)
    plan = plan_fill(before, pod, before, local)
    after = applied(plan, pod, local)
    for path in local_changes(before, local):
        assert after.get(path) == local.get(path)
    for path in pod.keys() - plan.touched - set(plan.kept) - local_changes(before, local):
        if path in before and pod[path] != before[path] and pod[path].type != "d":
            assert after.get(path) == pod[path]


@given(st.binary(min_size=1, max_size=20))
def test_any_name_survives_as_a_line(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    entry = Entry(name, "l", 0o777, 1, 2, 0, 3, link=name)
    assert parse_entry(render_entry(entry)) == entry
    assert parse_tree([render_entry(entry)]) == {name: entry}
