"""Fields that are said otherwise while a roll-out of ours runs."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.kinds.rolling import is_held, patience, remember, restore_fields, write_fields

OURS: Any = {"type": "RollingUpdate"}
ROLLING: Any = {"updateStrategy": ({"type": "OnDelete"}, OURS), "minReadySeconds": (None, 0)}
DEFAULTED: Any = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}  # as the API server adds


def test_there_and_back() -> None:
    spec = {"updateStrategy": {"type": "OnDelete"}, "replicas": 2}
    known = remember(spec, {"updateStrategy": OURS}, {})
    assert known == {"updateStrategy": ({"type": "OnDelete"}, OURS)}
    assert write_fields({"updateStrategy": OURS}) == [
        {"op": "add", "path": "/spec/updateStrategy", "value": OURS}
    ]
    live = spec | {"updateStrategy": DEFAULTED}
    assert is_held(live, known)
    operations, kept = restore_fields(live, known)
    assert operations == [{"op": "add", "value": {"type": "OnDelete"}, "path": "/spec/updateStrategy"}]
    assert kept == ()
    assert not is_held(spec, known)
    assert restore_fields(spec, known) == ([], ())


def test_what_did_not_stand_there_goes() -> None:
    operations, _ = restore_fields({"minReadySeconds": 0, "updateStrategy": DEFAULTED}, ROLLING)
    assert operations[0] == {"op": "remove", "path": "/spec/minReadySeconds"}


def test_a_0_that_the_api_server_leaves_out_is_ours() -> None:
    known = remember({"minReadySeconds": 60}, patience({"minReadySeconds": 60}), {})
    assert is_held({}, known)
    operations, kept = restore_fields({}, known)
    assert operations == [{"op": "add", "path": "/spec/minReadySeconds", "value": 60}]
    assert kept == ()
    assert restore_fields({"minReadySeconds": 30}, known) == ([], ("spec.minReadySeconds",))
    assert patience({}) == patience({"minReadySeconds": 0}) == {}


@pytest.mark.parametrize("live", [{"type": "Other"}, None])
def test_what_somebody_changed_meanwhile_stays(live: Any) -> None:
    spec = {"updateStrategy": live} if live else {}
    assert restore_fields(spec, {"updateStrategy": ROLLING["updateStrategy"]}) == (
        [],
        ("spec.updateStrategy",),
    )


def test_a_second_roll_out_remembers_the_first_one() -> None:
    known = {"updateStrategy": ({"type": "OnDelete"}, OURS)}
    assert remember({"updateStrategy": DEFAULTED}, {}, known) == known
    changed = remember({"updateStrategy": {"type": "Other"}}, {"updateStrategy": OURS}, known)
    assert changed == {"updateStrategy": ({"type": "Other"}, OURS)}
