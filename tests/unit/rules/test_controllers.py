"""Who manages an object, by the traces that only they leave."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.advice.controllers import find_managers, last_writer, render_pause

FLUX = "toolkit.fluxcd.io"


INSTANCE = {"app.kubernetes.io/instance": "shop"}
OWNER = {"kind": "Shop", "name": "a", "apiVersion": "x.io/v1"}


def names(**metadata: Any) -> list[str]:
    return [manager.name for manager in find_managers({"metadata": metadata})]


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
        (
            {"labels": INSTANCE, "managedFields": [{"manager": "argocd-controller"}]},
            "Argo CD (application shop)",
        ),
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
        {"labels": INSTANCE},
        {"labels": INSTANCE | {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "wordpress-1.2.3"}},
        {"annotations": {"argocd.argoproj.io/sync-wave": "1"}},
        {"ownerReferences": [OWNER]},
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


def test_an_application_of_another_namespace_is_paused_by_its_whole_name() -> None:
    notes = {"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:x/web"}
    (found,) = find_managers({"metadata": {"annotations": notes}})
    assert found.remedy == "argocd app set team/shop --sync-policy none"


def test_flux_helm_corrects_only_where_drift_detection_is_on() -> None:
    labels = {f"helm.{FLUX}/name": "wp", f"helm.{FLUX}/namespace": "apps"}
    (found,) = find_managers({"metadata": {"labels": labels}})
    assert found.remedy == "flux suspend helmrelease wp -n apps"
    assert found.effect.startswith("it will undo the change at its next upgrade, or within minutes if")
    notes = {f"helm.{FLUX}/driftDetection": "disabled"}
    (found,) = find_managers({"metadata": {"labels": labels, "annotations": notes}})
    assert found.effect == "it will undo the change at its next upgrade"


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
        (
            {"ownerReferences": [OWNER | {"controller": True}]},
            "pause the controller of Shop a (x.io/v1) for this workload\n",
        ),
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "wp"},
            },
            "pause whoever changes it (a GitOps tool with auto-sync, an operator) for this workload\n",
        ),
    ],
)
def test_who_has_to_pause(metadata: dict[str, Any], words: str) -> None:
    assert render_pause({"metadata": metadata}) == f"{words}then run `devcluster up` again"
