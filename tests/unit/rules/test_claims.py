"""Claims that two pods must not write to at once, and what a kind makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.kinds.table import KINDS
from devcluster.rules.volume.claims import exclusive_claims

Json = dict[str, Any]


def claim(name: str, *modes: str) -> Json:
    return {"metadata": {"name": name}, "spec": {"accessModes": list(modes)}}


CLAIMS = (
    claim("files", "ReadWriteOnce"),
    claim("pod", "ReadWriteOncePod"),
    claim("shared", "ReadWriteMany"),
    claim("either", "ReadWriteOnce", "ReadWriteMany"),
    claim("both", "ReadWriteOnce", "ReadOnlyMany"),
    claim("read", "ReadOnlyMany"),
)


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        ({"persistentVolumeClaim": {"claimName": "files"}}, ("files",)),
        ({"persistentVolumeClaim": {"claimName": "files", "readOnly": True}}, ()),
        ({"persistentVolumeClaim": {"claimName": "pod"}}, ("pod",)),
        ({"persistentVolumeClaim": {"claimName": "shared"}}, ()),
        ({"persistentVolumeClaim": {"claimName": "either"}}, ()),
        ({"persistentVolumeClaim": {"claimName": "both"}}, ("both",)),
        ({"persistentVolumeClaim": {"claimName": "read"}}, ()),
        ({"persistentVolumeClaim": {"claimName": "absent"}}, ()),
        ({"ephemeral": {"volumeClaimTemplate": {}}}, ()),  # one for each pod
        ({"emptyDir": {}}, ()),
    ],
)
def test_which_claims(volume: Json, found: tuple[str, ...]) -> None:
    assert exclusive_claims({"spec": {"volumes": [{"name": "v"} | volume]}}, CLAIMS) == found
    assert exclusive_claims({"spec": {}}, CLAIMS) == ()


ROLLING: Json = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
SURGE: Json = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
ALONE: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
TABLE: list[tuple[str, Json, tuple[str, ...], str, Json]] = [
    # kind, its spec, claims; order, what a roll-out of ours sets
    ("deployment", ROLLING, (), "start-first", {}),
    ("deployment", ROLLING, ("files",), "stop-first", {"strategy": {"type": "Recreate"}}),
    ("deployment", {}, ("files",), "stop-first", {"strategy": {"type": "Recreate"}}),
    ("deployment", {"strategy": {"type": "Recreate"}}, ("files",), "stop-first", {}),
    ("deployment", {"minReadySeconds": 60}, (), "start-first", {"minReadySeconds": 0}),
    (
        "deployment",
        ROLLING | {"minReadySeconds": 60},
        ("files",),
        "stop-first",
        {"strategy": {"type": "Recreate"}, "minReadySeconds": 0},
    ),
    ("statefulset", {"minReadySeconds": 60}, ("files",), "stop-first", {"minReadySeconds": 0}),
    ("daemonset", SURGE, (), "start-first", {}),
    ("daemonset", SURGE, ("files",), "stop-first", {"updateStrategy": ALONE}),
    ("daemonset", {"minReadySeconds": 5}, ("files",), "stop-first", {"minReadySeconds": 0}),
]


@pytest.mark.parametrize(("kind", "spec", "claims", "order", "fields"), TABLE)
def test_what_a_roll_out_of_ours_sets(
    kind: str, spec: Json, claims: tuple[str, ...], order: str, fields: Json
) -> None:
    row, item = KINDS[kind], {"spec": spec, "status": {"desiredNumberScheduled": 1}}
    assert row.order(item, claims) == order
    assert row.rolling(item, claims) == fields
    if claims and row.beside(item):
        assert row.gap(item, claims) == "two of its pods must not write to claim files"
    assert row.mixed(item) == ""
