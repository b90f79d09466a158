"""What Docker is asked for."""

from __future__ import annotations

from devcluster.config.model import Mount, Runtime
from devcluster.edge.docker.spec import host_config
from devcluster.rules.container.local_container import ContainerSpec, VolumeBind


def test_options_of_mounts_are_dockers() -> None:
    mounts = (
        Mount("/a", "/a", propagation="rslave"),
        Mount("d", "/d", kind="volume", copy=False),
        Mount("", "/e", kind="tmpfs", size=64 << 20, permissions=0o1777),
    )
    spec = ContainerSpec(image="i", entrypoint=None, command=None, environment=(), mounts=mounts)
    bind, volume, tmpfs = host_config("p", "web", "n", spec)["Mounts"]
    assert bind["BindOptions"] == {"Propagation": "rslave"}
    assert volume["VolumeOptions"]["NoCopy"] is True
    assert tmpfs["TmpfsOptions"] == {"SizeBytes": 64 << 20, "Mode": 0o1777}


def test_a_label_of_selinux_is_asked_for_in_the_form_that_has_it() -> None:
    mounts = (Mount("/a", "/a", True, propagation="rslave", selinux="z"), Mount("/b", "/b"))
    spec = ContainerSpec(image="i", entrypoint=None, command=None, environment=(), mounts=mounts)
    host = host_config("p", "web", "n", spec)
    assert host["Binds"] == ["/a:/a:ro,z,rslave"]
    assert [it["Target"] for it in host["Mounts"]] == ["/b"]


def test_a_device_by_name_is_asked_for_and_one_by_path_is_given() -> None:
    runtime = Runtime(devices=("/dev/kvm", "vendor.com/gpu=all", "/dev/a:/dev/b:r"))
    spec = ContainerSpec(image="i", entrypoint=None, command=None, environment=(), runtime=runtime)
    host = host_config("p", "web", "n", spec)
    assert host["DeviceRequests"] == [{"Driver": "cdi", "DeviceIDs": ["vendor.com/gpu=all"]}]
    assert [it["PathInContainer"] for it in host["Devices"]] == ["/dev/kvm", "/dev/b"]


def test_one_file_of_a_volume_is_its_subpath_and_of_the_laptop_a_bind() -> None:
    binds = (
        VolumeBind("vol", "/etc/app.conf", read_only=True, file="app.conf"),
        VolumeBind("vol-data", "/data"),
        VolumeBind("/home/x/x.conf", "/etc/x.conf"),
    )
    spec = ContainerSpec(image="i", entrypoint=None, command=None, environment=(), volumes=binds)
    one, whole, bind = host_config("p", "web", "n", spec)["Mounts"]
    assert (one["Source"], one["VolumeOptions"]["Subpath"], one["ReadOnly"]) == ("vol", "app.conf", True)
    assert one["VolumeOptions"]["NoCopy"] is True  # without it engines copy the image's file as a directory
    assert "Subpath" not in whole["VolumeOptions"]
    assert (bind["Type"], bind["Source"]) == ("bind", "/home/x/x.conf")
