"""A template that somebody takes back while its roll-out is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.run.cluster.rollout import Written, find_revert
from tests.unit.rules.test_drift import BEFORE, ORIGINALS, WRAPPED, edited

Json = dict[str, Any]


ARGS = edited(args=["serve"])
PUT_BACK = "the template of deployment/web was put back"


@pytest.mark.parametrize(
    ("template", "generation", "by", "whole", "reverted"),
    [
        (WRAPPED, 7, "argocd", True, ""),
        (BEFORE, 6, "argocd", True, ""),  # the cluster's answer is from before our own patch
        (BEFORE, 7, "argocd", True, f"{PUT_BACK} (last written by argocd)"),
        (BEFORE, 8, "argocd", False, f"{PUT_BACK} (last written by argocd)"),
        (BEFORE, 8, "devcluster", True, f"{PUT_BACK}:"),
        (ARGS, 8, "argocd", True, "deployment/web: spec.containers[web].args is not as `up` wrote it"),
        (ARGS, 8, "argocd", False, ""),  # seen by a second `up`, which has its own eyes for it
        (ARGS, 8, "devcluster", True, ""),  # another laptop's agent
        (edited(env=[{"name": "MORE", "value": "1"}]), 8, "argocd", True, ""),
    ],
)
def test_a_template_that_is_taken_back(
    template: Json, generation: int, by: str, whole: bool, reverted: str
) -> None:
    fields = [{"manager": by, "fieldsV1": {"f:spec": {"f:template": {}}}}]
    live = {"metadata": {"generation": generation, "managedFields": fields}, "spec": {"template": template}}
    found = find_revert(live, Written(ORIGINALS, 7, whole))
    assert found.startswith(reverted)
    assert bool(found) == bool(reverted)
