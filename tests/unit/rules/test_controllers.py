"""Who manages an object, by the traces that only they leave."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.controllers import find_managers, last_writer, render_pause

FLUX = "toolkit.fluxcd.io"


CHART = {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "wordpress-1.2.3"}
INSTANCE = {"app.kubernetes.io/instance": "shop"}
OWNER = {"kind": "Shop", "name": "a", "apiVersion": "x.io/v1"}


def names(**metadata: Any) -> list[str]:
    """Of those that are certain."""
    return [manager.name for manager in find_managers({"metadata": metadata}) if manager.certain]


def guesses(inner: dict[str, str] | None = None, **metadata: Any) -> list[str]:
    """What is said of a Deployment, each a guess; *inner*: its template's labels."""
    item = {"metadata": metadata, "spec": {"template": {"metadata": {"labels": inner or {}}}}}
    found = find_managers(item)
    assert not any(manager.certain for manager in found)
    return [str(manager) for manager in found]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/web"}},
            "application shop",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "application shop"),
        ({"labels": {f"kustomize.{FLUX}/name": "apps"}}, "kustomization apps"),
        ({"labels": {f"helm.{FLUX}/name": "wp"}}, "helmrelease wp"),
        ({"annotations": {"configmanagement.gke.io/managed": "enabled"}}, "Config Sync"),
        ({"annotations": {"objectset.rio.cattle.io/id": "x"}}, "Fleet"),
        ({"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]}, "Argo CD"),
        (
            {"ownerReferences": [OWNER | {"controller": True}]},
            "the controller of Shop a (x.io/v1)",
        ),
    ],
)
def test_each_is_recognised(metadata: dict[str, Any], name: str) -> None:
    (found,) = names(**metadata)
    assert name in found


def test_helm_alone_and_helm_by_flux() -> None:
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    notes = {"meta.helm.sh/release-name": "wp"}
    assert names(labels=labels, annotations=notes) == ["Helm (release wp)"]
    by_flux = labels | {f"helm.{FLUX}/name": "wp"}
    assert names(labels=by_flux, annotations=notes) == ["Flux (helmrelease wp)"]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": INSTANCE | {"app.kubernetes.io/managed-by": "me"}},
        {"managedFields": [{"manager": "kubectl-client-side-apply"}]},
        {"ownerReferences": [{"kind": "ConfigMap", "name": "a", "apiVersion": "v1"}]},
        {"ownerReferences": [{"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}]},
        {
            "labels": {f"kustomize.{FLUX}/name": "apps"},
            "annotations": {f"kustomize.{FLUX}/reconcile": "disabled"},
        },
        {"labels": {f"kustomize.{FLUX}/name": "apps", f"kustomize.{FLUX}/reconcile": "disabled"}},
        {"labels": {f"kustomize.{FLUX}/name": "apps", f"kustomize.{FLUX}/ssa": "IfNotPresent"}},
    ],
)
def test_what_fights_nothing_is_not_named(metadata: dict[str, Any]) -> None:
    assert find_managers({"metadata": metadata}) == ()


def test_the_instance_label_is_perhaps_argo_cds_where_the_template_lacks_it() -> None:
    (text,) = guesses({"app": "web"}, labels=INSTANCE)
    assert text == (
        "may be managed by Argo CD (application shop), which would put the template back at its next sync, "
        "unless kustomize or somebody by hand wrote the label app.kubernetes.io/instance"
    )
    (found,) = find_managers({"metadata": {"labels": INSTANCE}})
    assert found.remedy == "", "a command would name an application that may not be there"
    assert guesses(INSTANCE, labels=INSTANCE) == []  # kustomize, or a chart without its other labels
    service = {"metadata": {"labels": INSTANCE}, "spec": {"selector": INSTANCE}}
    assert find_managers(service) == ()


@pytest.mark.parametrize("other", ["name", "part-of", "component", "version", "managed-by"])
def test_the_instance_label_beside_other_recommended_ones_is_anybodys(other: str) -> None:
    labels = INSTANCE | {f"app.kubernetes.io/{other}": "shop"}
    assert guesses({"app": "web"}, labels=labels) == []  # by kustomize's `labels:`, for one
    service = {"metadata": {"labels": labels}, "spec": {"selector": {"app": "web"}}}
    assert find_managers(service) == ()


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"annotations": {"argocd.argoproj.io/sync-wave": "1"}}, "Argo CD"),
        (
            {"labels": INSTANCE | CHART, "annotations": {"argocd.argoproj.io/sync-options": "Prune=false"}},
            "Argo CD (application shop)",
        ),
        ({"labels": INSTANCE | {"app.kubernetes.io/managed-by": "argo-cd"}}, "Argo CD (application shop)"),
    ],
)
def test_what_is_written_for_argo_cd_is_perhaps_managed_by_it(metadata: dict[str, Any], name: str) -> None:
    (text,) = guesses(INSTANCE, **metadata)
    assert text == f"may be managed by {name}, which would put the template back at its next sync"
    assert not find_managers({"metadata": metadata})[0].remedy


def test_argo_cds_own_trace_makes_the_instance_label_its_own() -> None:
    fields = [{"manager": "argocd-controller", "operation": "Apply"}]
    assert names(labels=INSTANCE | CHART, managedFields=fields) == ["Argo CD (application shop)"]


def test_an_application_of_another_namespace_is_paused_by_its_whole_name() -> None:
    notes = {"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:x/web"}
    (found,) = find_managers({"metadata": {"annotations": notes}})
    assert found.remedy == "argocd app set team/shop --sync-policy none"


@pytest.mark.parametrize(
    ("labels", "chart"),
    [
        (CHART, "wordpress-1.2.3"),
        ({"helm.sh/chart": "wordpress-1.2.3"}, "wordpress-1.2.3"),
        ({"app.kubernetes.io/managed-by": "Tiller"} | INSTANCE, "shop"),
        (CHART | INSTANCE, "wordpress-1.2.3"),
    ],
)
def test_a_chart_without_a_release_is_put_back_by_whoever_applies_it(
    labels: dict[str, str], chart: str
) -> None:
    (text,) = guesses(INSTANCE, labels=labels)
    assert text.startswith(f"may be managed by whoever applies the Helm chart {chart}, which would put")
    assert "Argo CD, a pipeline or an older Helm" in text


def test_an_owner_that_only_owns_is_a_guess() -> None:
    (text,) = guesses(ownerReferences=[OWNER])
    assert text.startswith(
        "may be managed by the controller of Shop a (x.io/v1), which would put the template"
    )


def test_a_guess_is_made_only_where_nothing_is_certain() -> None:
    labels = INSTANCE | {"olm.owner": "csv"}
    assert names(labels=labels, ownerReferences=[OWNER]) == ["the Operator Lifecycle Manager"]
    assert len(find_managers({"metadata": {"labels": labels, "ownerReferences": [OWNER]}})) == 1


def test_flux_helm_corrects_only_where_drift_detection_is_on() -> None:
    labels = {f"helm.{FLUX}/name": "wp", f"helm.{FLUX}/namespace": "apps"}
    (found,) = find_managers({"metadata": {"labels": labels}})
    assert found.remedy == "flux suspend helmrelease wp -n apps"
    assert "will put the template back at its next upgrade, and may do so within minutes" in str(found)
    notes = {f"helm.{FLUX}/driftDetection": "disabled"}
    (found,) = find_managers({"metadata": {"labels": labels, "annotations": notes}})
    assert found.effect == "will put the template back at its next upgrade"


def test_last_writer() -> None:
    def entry(manager: str, time: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
        return {"manager": manager, "time": time, "fieldsV1": fields} | more

    template: dict[str, Any] = {"f:spec": {"f:template": {}}}
    fields = [
        entry("kubectl", "2026-11-23T08:00:00Z", template),
        entry("argocd", "2026-11-23T09:00:00Z", template),
        entry("hpa", "2026-11-23T10:00:00Z", {"f:spec": {"f:replicas": {}}}),
        entry("kube", "2026-11-23T11:00:00Z", template, subresource="status"),
    ]
    item = {"metadata": {"managedFields": fields}}
    assert last_writer(item, "spec", "template") == "argocd at 2026-11-23T09:00:00Z"
    assert last_writer({"metadata": {}}, "spec") == ""

    fields += [entry("devcluster", "2026-11-23T09:00:00Z", template)]
    assert last_writer(item, "spec", "template") == "argocd at 2026-11-23T09:00:00Z"
    fields[-1]["time"] = "2026-11-23T09:00:01Z"
    assert last_writer(item, "spec", "template") == "", "whoever came after us left no trace"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (
            {"labels": {"argocd.argoproj.io/instance": "shop"}},
            "`argocd app set shop --sync-policy none` pauses Argo CD (application shop)\n",
        ),
        ({"managedFields": [{"manager": "configsync"}]}, "pause Config Sync for this workload\n"),
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "wp"},
            },
            "pause who writes it (auto-sync or self-heal of a GitOps tool, an operator) for this workload\n",
        ),
    ],
)
def test_who_has_to_pause(metadata: dict[str, Any], words: str) -> None:
    assert render_pause({"metadata": metadata}) == f"{words}then `devcluster up` again"
