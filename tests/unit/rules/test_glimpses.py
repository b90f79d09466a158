"""What a Role does not show is said in one line, and is nothing that the Role must have."""

from __future__ import annotations

from devcluster.edge.kube.paths import RESOURCES
from devcluster.rules.checkup import check_glimpses
from devcluster.rules.glimpses import AUTOSCALERS, GLIMPSES, POLICIES, glimpses_of, render_unread
from devcluster.rules.rights import RIGHTS
from devcluster.rules.sharing import TEMPLATED


def test_one_line_names_what_is_not_read_and_what_nobody_hears_of() -> None:
    assert render_unread((AUTOSCALERS[0], AUTOSCALERS[2], POLICIES), "shop") == (
        "cannot list horizontalpodautoscalers.autoscaling, scaledobjects.keda.sh, "
        "networkpolicies.networking.k8s.io in namespace shop: not needed, but nobody warns of "
        "an autoscaler that points at the workload, a NetworkPolicy that closes the agent's ports"
    )


def test_doctor_takes_it_for_no_fault_and_is_silent_where_all_is_shown() -> None:
    (line,) = check_glimpses(GLIMPSES, "shop")
    assert (line.subject, line.state, line.exit_code) == ("rights", "ok", 0)
    assert check_glimpses((), "shop") == ()
    assert render_unread((), "shop") == ""


def test_they_are_no_part_of_the_role_and_named_as_the_cluster_names_them() -> None:
    granted = {(one.group, one.resource) for one in RIGHTS if one.verb == "list"}
    for it in GLIMPSES:
        assert (it.group, it.resource) not in granted
        assert (RESOURCES[it.kind].group, RESOURCES[it.kind].plural) == (it.group, it.resource)


def test_each_kind_whose_pods_are_told_by_a_template_is_a_glimpse_or_a_right() -> None:
    granted = {one.resource for one in RIGHTS if one.verb == "list"}
    left = {kind for kind in TEMPLATED if RESOURCES[kind].plural not in granted}
    assert {it.kind for it in glimpses_of(TEMPLATED)} == left
