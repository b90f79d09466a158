"""What a container mounts, matched with its pod's spec: each kind of mount that people meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devcluster.config.model import VolumeRule
from devcluster.errors import ConfigurationError
from devcluster.rules.agent.facts import PodFacts, PodMount
from devcluster.rules.volume.mountinfo import mounted_volumes
from devcluster.rules.volume.volumes import PodVolume, labelled, nested, pod_volumes, resolve_volumes

FACTS = PodFacts((), (), "/", 0, 0, (), "web", "10.0.0.9", "", "")
SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"


def seen(
    spec: tuple[PodVolume, ...], *mounts: PodMount, real: dict[str, str] | None = None
) -> dict[str, Any]:
    facts = replace(FACTS, mounts=mounts, real=real or {})
    return {item.mount_path: item for item in mounted_volumes(spec, facts)}


def fates(*volumes: PodVolume, rules: tuple[VolumeRule, ...] = ()) -> dict[str, str]:
    return {label: plan.fate for plan, label in labelled(resolve_volumes(volumes, rules))}


def test_a_mount_of_the_spec_is_the_kernels_at_the_path_where_it_leads() -> None:
    token = PodVolume("service-account-token", SECRETS, "projected")
    link = PodVolume("config", "/opt/link.conf", "configmap", sub_path="a")
    found = seen(
        (token, link),
        PodMount(f"/run/{SECRETS.removeprefix('/var/run/')}", kind="tmpfs", projected=True),
        PodMount("/opt/real.conf", is_file=True, kind="ext4"),
        real={SECRETS: f"/run/{SECRETS.removeprefix('/var/run/')}", "/opt/link.conf": "/opt/real.conf"},
    )
    assert found.keys() == {SECRETS, "/opt/link.conf"}
    assert found["/opt/link.conf"].is_file
    assert fates(*found.values()) == {"service-account-token": "copy, kept fresh", "config": "copy"}


@pytest.mark.parametrize(
    ("mount", "fate"),
    [
        (PodMount("/x", kind="ext4"), "copy"),
        (PodMount("/x", is_file=True, kind="ext4"), "copy"),
        (PodMount("/x", kind="tmpfs", size=5), "memory"),
        (PodMount("/x", kind="tmpfs", projected=True), "copy, kept fresh"),
        (PodMount("/x", kind="ext4", projected=True), "copy, kept fresh"),
        (PodMount("/x", kind="cgroup2"), "left out (the kernel's, not files)"),
    ],
)
def test_what_stands_in_no_spec_is_one_more_volume(mount: PodMount, fate: str) -> None:
    found = seen((), mount)
    assert fates(*found.values()) == {"/x": fate}
    assert not found["/x"].is_file or mount.is_file


def test_a_drivers_volume_is_what_the_kernel_says() -> None:
    """A CSI driver's: the spec tells nothing of it."""
    volumes = [{"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io"}}]
    spec = pod_volumes({"volumeMounts": [{"name": "vault", "mountPath": "/x"}]}, volumes)
    assert fates(*seen(spec, PodMount("/x", kind="tmpfs", projected=True)).values()) == {
        "vault": "copy, kept fresh"
    }
    assert fates(*seen(spec, PodMount("/x", kind="tmpfs", size=9)).values()) == {"vault": "memory"}


def test_memory_has_the_size_that_the_kernel_gives() -> None:
    memory = PodVolume("m", "/m", "memory", size_limit=1 << 40)
    assert seen((memory,), PodMount("/m", kind="tmpfs", size=4096))["/m"].size_limit == 4096
    assert seen((memory,), PodMount("/m", kind="tmpfs"))["/m"].size_limit == 1 << 40


def test_what_a_nodes_folder_brings_along_belongs_to_it() -> None:
    root = PodVolume("root", "/host", "hostpath", node_path="/srv")
    found = seen(
        (root,), PodMount("/host"), PodMount("/host/proc", kind="proc"), PodMount("/host/mnt/a", kind="nfs4")
    )
    assert found.keys() == {"/host"}
    (plan,) = resolve_volumes(tuple(found.values()), ())
    assert nested(plan, (plan,)) == ("proc/**", "mnt/a/**")


def test_what_the_container_does_not_have_is_left_out_unless_the_file_asks_for_it() -> None:
    gone = seen((PodVolume("hosts", "/etc/hosts", "configmap", sub_path="hosts"),))
    volumes = tuple(gone.values())
    assert fates(*volumes) == {"hosts": "left out (the container has no such mount)"}
    assert fates(*volumes, rules=(VolumeRule("hosts", "off"),)) == {"hosts": "off"}
    with pytest.raises(ConfigurationError, match="hosts can't be had: the container has no such mount"):
        resolve_volumes(volumes, (VolumeRule("hosts", "copy"),))


@pytest.mark.parametrize(
    ("node_path", "fate"),
    [
        ("/", "left out (the node's whole disk)"),
        ("/proc", "left out (the node's /proc)"),
        ("/sys/class", "left out (the node's /sys)"),
        ("/dev/shm/", "left out (the node's /dev)"),  # noqa: S108
        ("/devices", "copy"),
        ("/var/log", "copy"),
    ],
)
def test_the_nodes_kernel_and_its_whole_disk_are_left_out(node_path: str, fate: str) -> None:
    node = PodVolume("node", "/host", "hostpath", node_path=node_path)
    assert fates(node) == {"node": fate}
    found = seen((node,), PodMount("/host", kind="proc" if node_path == "/proc" else "ext4"))
    assert fates(*found.values()) == {"node": fate}
    if node_path == "/":
        assert fates(node, rules=(VolumeRule("node", exclude=("var/**",)),)) == {"node": "copy"}
