"""Every mount has a plan; a rule that fits nothing is an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devcluster.config.model import Mount, Runtime, Target, VolumeRule, Workload
from devcluster.config.text.globs import matches
from devcluster.errors import ConfigurationError
from devcluster.rules.volume.volumes import DEFAULT_LIMIT, covered_paths, nested, pod_volumes, resolve_volumes

VOLUMES: list[dict[str, Any]] = [
    {"name": "data", "persistentVolumeClaim": {"claimName": "c"}},
    {"name": "conf", "configMap": {"name": "m"}},
    {"name": "key", "secret": {"secretName": "s"}},
    {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    {"name": "tmp", "emptyDir": {}},
    {"name": "api", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    {"name": "node", "hostPath": {"path": "/x"}},
    {"name": "nfs", "nfs": {"server": "x"}},
    {"name": "me", "downwardAPI": {}},
    {"name": "devcluster-bin", "projected": {"sources": []}},
]
CONTAINER = {
    "volumeMounts": [
        {"name": "data", "mountPath": "/data", "subPath": "wordpress"},
        {"name": "data", "mountPath": "/data/inner"},
        {"name": "conf", "mountPath": "/conf/", "readOnly": True},
        {"name": "key", "mountPath": "/key"},
        {"name": "mem", "mountPath": "/mem"},
        {"name": "tmp", "mountPath": "/tmp/x"},  # noqa: S108
        {"name": "api", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
        {"name": "node", "mountPath": "/node"},
        {"name": "nfs", "mountPath": "/nfs"},
        {"name": "me", "mountPath": "/me"},
        {"name": "devcluster-bin", "mountPath": "/.devcluster/bin"},
    ]
}
FOUND = pod_volumes(CONTAINER, VOLUMES)


def test_every_mount_but_ours() -> None:
    kinds = {item.mount_path: item.kind for item in FOUND}
    assert kinds == {
        "/data": "claim",
        "/data/inner": "claim",
        "/conf": "configmap",
        "/key": "secret",
        "/mem": "memory",
        "/tmp/x": "emptydir",  # noqa: S108
        "/var/run/secrets/kubernetes.io/serviceaccount": "projected",
        "/node": "hostpath",
        "/nfs": "other",
        "/me": "downward",
    }
    renewed = {item.mount_path for item in FOUND if item.is_renewed}
    assert renewed == {
        item.mount_path for item in FOUND if item.kind in ("configmap", "secret", "projected", "downward")
    } | {"/nfs"}
    assert not any(replace(item, sub_path="key").is_renewed for item in FOUND)
    assert {item.mount_path for item in FOUND if item.may_be_file} == {"/data", "/node", "/nfs"}
    data = next(item for item in FOUND if item.mount_path == "/data")
    assert (data.sub_path, data.read_only, data.size_limit) == ("wordpress", False, None)
    assert next(item for item in FOUND if item.name == "mem").size_limit == 1 << 20


def test_defaults_and_the_nearer_rule() -> None:
    rules = (
        VolumeRule("data", "empty"),
        VolumeRule("/data/inner/", "copy", limit=5),
        VolumeRule("key", "off"),
    )
    modes = {plan.volume.mount_path: (plan.mode, plan.limit) for plan in resolve_volumes(FOUND, rules)}
    assert modes["/data"] == ("empty", DEFAULT_LIMIT)
    assert modes["/data/inner"] == ("copy", 5)
    assert modes["/key"][0] == "off"
    assert modes["/mem"] == ("copy", DEFAULT_LIMIT)
    assert modes["/conf"] == ("copy", DEFAULT_LIMIT)


def test_what_the_file_mounts_wins() -> None:
    mounts, runtime = (Mount("/x", "/data/"),), Runtime(tmpfs=("/conf:size=1",))
    covered = covered_paths(Workload("w", Target("w"), mounts=mounts, runtime=runtime))
    plans = resolve_volumes(FOUND, (VolumeRule("/data", "copy"),), covered=covered)
    assert {plan.volume.mount_path for plan in plans if plan.mode == "off"} == {"/data", "/conf"}


def test_an_unknown_volume_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        ConfigurationError, match=r"workloads\.w\.volumes: the pod has no volume dat$"
    ) as caught:
        resolve_volumes(FOUND, (VolumeRule("dat"),), workload="w")
    assert caught.value.hint == "did you mean data?"
    with pytest.raises(ConfigurationError) as caught:
        resolve_volumes(FOUND[:1], (VolumeRule("zzz"),))
    assert caught.value.hint == "there are: conf (/conf)"


def test_two_mounts_never_share_a_folder() -> None:
    with pytest.raises(ConfigurationError, match="would share the folder"):
        resolve_volumes(FOUND, (VolumeRule("data", path=Path("/x")),))


def test_what_is_mounted_within_is_not_copied_twice() -> None:
    mounts = [
        {"name": "data", "mountPath": path}
        for path in ("/", "/data", "/data/in[n]er", "/data/a/b", "/database")
    ]
    plans = resolve_volumes(pod_volumes({"volumeMounts": mounts}, VOLUMES), ())
    within = {plan.volume.mount_path: nested(plan, plans) for plan in plans}
    assert within["/data"] == ("a/b/**", r"in\[n]er/**")
    assert set(within["/"]) == {"data/**", "data/a/b/**", r"data/in\[n]er/**", "database/**"}
    assert within["/database"] == ()
    assert matches("in[n]er/x", within["/data"])
    assert not matches("in[n]er", within["/data"])


def test_what_kubelet_writes_is_copied_and_kept_fresh_whatever_is_asked_for() -> None:
    rules = [VolumeRule(item.mount_path, "sync") for item in FOUND]
    modes = {plan.volume.mount_path: plan.mode for plan in resolve_volumes(FOUND, rules)}
    assert {path for path, mode in modes.items() if mode == "copy"} == {
        item.mount_path for item in FOUND if item.is_kubelets
    }
    assert modes["/conf"] == "copy"
    assert modes["/nfs"] == "sync"
