"""The history of a StatefulSet or a DaemonSet without us."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from devcluster.rules.kinds.kind import Change, Make, Remove
from devcluster.rules.kinds.revisions import REVISIONS
from tests.unit.rules.kinds.test_replicasets import other_release
from tests.unit.rules.test_drift import BEFORE, ORIGINALS, WRAPPED

Json = dict[str, Any]
MINE = replace(ORIGINALS, revision="1", revisions={"original": ("1", "")})


def revision(name: str, template: Json, number: int) -> Json:
    owner = {"kind": "StatefulSet", "name": "web", "uid": "u"}
    labels = {"app": "web", "controller.kubernetes.io/hash": "abc"}
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "5"}
    return {
        "metadata": metadata | {"labels": labels, "ownerReferences": [owner]},
        "data": {"spec": {"template": copy.deepcopy(template) | {"$patch": "replace"}}},
        "revision": number,
    }


def test_ours_goes_and_the_original_gets_its_number_back() -> None:
    items = [revision("original", BEFORE, 3), revision("ours", WRAPPED, 2)]
    assert REVISIONS.clean(MINE, items) == (Remove("ours", "uid-ours"),)
    assert [REVISIONS.wrapped(item) for item in items] == [False, True]
    assert REVISIONS.renumber(MINE, items[:1]) == (Change("original", {"revision": 1}, "5"),)
    assert REVISIONS.renumber(MINE, [revision("original", BEFORE, 1)]) == ()
    assert REVISIONS.renumber(replace(MINE, revision=""), items[:1]) == ()


def test_a_teammates_release_is_made_anew_without_the_agent() -> None:
    newest = other_release(other_release(BEFORE))
    newest["spec"]["containers"][0]["image"] = "web:3"
    items = [
        revision("original", BEFORE, 1),
        revision("ours", WRAPPED, 2),
        revision("theirs", other_release(WRAPPED), 3),
        revision("newest", newest, 5),
    ]
    made, *deleted = REVISIONS.clean(MINE, items)
    assert deleted == [Remove("ours", "uid-ours"), Remove("theirs", "uid-theirs")]
    assert isinstance(made, Make)
    assert made.name == "theirs-plain"
    assert made.body["data"] == {"spec": {"template": other_release(BEFORE) | {"$patch": "replace"}}}
    assert made.body["revision"] == 2  # at once: it can't be changed later
    assert made.body["metadata"]["labels"] == {"app": "web"}  # the hash was of other data
    assert made.body["metadata"]["ownerReferences"] == items[2]["metadata"]["ownerReferences"]
    after = [items[0], revision("theirs-plain", other_release(BEFORE), 2), items[3]]
    assert REVISIONS.renumber(MINE, after) == (Change("newest", {"revision": 3}, "5"),)


def test_what_is_noted_beforehand() -> None:
    items = [revision("original", BEFORE, 3), revision("former", other_release(BEFORE), 2)]
    assert REVISIONS.current({}, items) == "3"
    assert REVISIONS.current({}, []) == ""
    assert REVISIONS.numbers(items) == {"original": ("3", ""), "former": ("2", "")}
