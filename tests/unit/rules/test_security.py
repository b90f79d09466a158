"""What the local container may do, by what the kernel says of the pod's."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.agent.facts import Rights
from devcluster.rules.container.security import pod_security

Json = dict[str, Any]
DEFAULT = 0x00000000A80425FB  # Docker's and containerd's


@pytest.mark.parametrize(
    ("capabilities", "add", "drop"),
    [
        (DEFAULT, [], []),
        (0, [], ["ALL"]),
        (DEFAULT | 1 << 19, ["SYS_PTRACE"], []),
        (DEFAULT & ~(1 << 13), [], ["NET_RAW"]),
        (1 << 12, ["NET_ADMIN"], ["ALL"]),
    ],
)
def test_capabilities_are_told_as_what_differs_from_the_engine(
    capabilities: int, add: list[str], drop: list[str]
) -> None:
    found = pod_security({}, Rights(capabilities, False, False))["capabilities"]
    assert found == {"add": add, "drop": drop}


def test_a_pod_that_may_do_everything_gets_what_its_template_names() -> None:
    template = {"privileged": True, "capabilities": {"add": ["SYS_PTRACE"]}}
    for everything in ((1 << 41) - 1, (1 << 38) - 1):
        found = pod_security({"securityContext": template}, Rights(everything, False, False))
        assert found["capabilities"] == {"add": ["SYS_PTRACE"]}


def test_the_pod_is_believed_and_not_the_template() -> None:
    template: Json = {"securityContext": {"readOnlyRootFilesystem": False, "runAsUser": 7}}
    found = pod_security(template, Rights(DEFAULT, True, True))
    assert (found["readOnlyRootFilesystem"], found["allowPrivilegeEscalation"]) == (True, False)
    assert found["runAsUser"] == 7
    assert pod_security(template, None) == template["securityContext"]
    assert pod_security({}, None) == {}
