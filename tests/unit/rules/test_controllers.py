"""Who manages an object, by the traces that only they leave."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.rules.controllers import find_managers, last_writer

FLUX = "toolkit.fluxcd.io"


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
        ({"annotations": {"configmanagement.gke.io/managed": "enabled"}}, "Config Sync"),
        ({"annotations": {"objectset.rio.cattle.io/id": "x"}}, "Fleet"),
        ({"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]}, "Argo CD"),
        (
            {"ownerReferences": [{"kind": "Shop", "name": "a", "apiVersion": "x.io/v1", "controller": True}]},
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
        {"labels": {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "me"}},
        {"managedFields": [{"manager": "kubectl-client-side-apply"}]},
        {"ownerReferences": [{"kind": "Shop", "name": "a"}]},
        {
            "labels": {f"kustomize.{FLUX}/name": "apps"},
            "annotations": {f"kustomize.{FLUX}/reconcile": "disabled"},
        },
    ],
)
def test_what_fights_nothing_is_not_named(metadata: dict[str, Any]) -> None:
    assert names(**metadata) == []


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
