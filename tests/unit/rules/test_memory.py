"""The agent's share comes on top of what the pod has, wherever that was said."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.cluster.memory import Admitted, admitted_memory, raise_memory
from devcluster.rules.cluster.template import is_wrapped

Json = dict[str, Any]
MIB = 1 << 20


def pod(resources: Json, *, wrapped: bool = False) -> Json:
    volumes = [{"name": "devcluster-bin"}] if wrapped else []
    return {
        "spec": {
            "containers": [{"name": "side"}, {"name": "web", "resources": resources}],
            "volumes": volumes,
        }
    }


@pytest.mark.parametrize(
    ("resources", "wrapped", "expected"),
    [
        ({}, False, None),
        ({"limits": {"cpu": "1"}}, False, None),
        ({"limits": {"memory": "64Mi"}}, False, Admitted(64 * MIB)),
        ({"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}}, False, Admitted(64 * MIB, 32 * MIB)),
        ({"limits": {"memory": "112Mi"}, "requests": {"memory": "32Mi"}}, True, Admitted(64 * MIB, 32 * MIB)),
        (
            {"limits": {"memory": "112Mi"}, "requests": {"memory": "112Mi"}},
            True,
            Admitted(64 * MIB, 64 * MIB),
        ),
    ],
)
def test_what_a_pod_was_given(resources: Json, wrapped: bool, expected: Admitted | None) -> None:
    assert admitted_memory([pod(resources, wrapped=wrapped)], "web", wrapped=is_wrapped) == expected


@pytest.mark.parametrize(
    ("resources", "admitted", "expected"),
    [
        (None, None, None),
        (None, Admitted(64 * MIB, 32 * MIB), {"limits": {"memory": "112Mi"}, "requests": {"memory": "32Mi"}}),
        ({}, Admitted(64 * MIB, 64 * MIB), {"limits": {"memory": "112Mi"}, "requests": {"memory": "112Mi"}}),
        (
            {"limits": {"cpu": "1"}, "requests": {"memory": "16Mi"}},
            Admitted(64 * MIB, 16 * MIB),
            {"limits": {"cpu": "1", "memory": "112Mi"}, "requests": {"memory": "16Mi"}},
        ),
        ({"limits": {"memory": "80Mi"}}, Admitted(64 * MIB), {"limits": {"memory": "128Mi"}}),
    ],
)
def test_it_is_written_with_the_share_on_top(
    resources: Json | None, admitted: Admitted | None, expected: Json | None
) -> None:
    container: Json = {"name": "web"} | ({} if resources is None else {"resources": resources})
    raise_memory(container, admitted)
    assert container.get("resources") == expected
