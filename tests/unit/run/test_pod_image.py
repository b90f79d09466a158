"""Where the laptop can't read the pod's image, `pod_command` stands for what only the image knew."""

from __future__ import annotations

from typing import Any

from devcluster.config.model import Target, Workload
from devcluster.rules.cluster.template import original_command
from devcluster.rules.container.image import ImageChoice, ImageFacts
from devcluster.run.image.images import Images, needs_pod_image, pod_image

FACTS = ImageFacts("sha256:1", ("/app",), ("-v",), None, "", "/", "amd64", ())
LOCAL = ImageChoice("mine:dev", "", FACTS)
COMMAND = {"command": ["/own"]}


def workload(**words: Any) -> Workload:
    return Workload(key="web", target=Target("web"), **words)


def command(container: dict[str, Any], pod: ImageChoice | None = None) -> tuple[str, ...]:
    container = {"name": "web", "image": "private:1"} | container
    wanted = workload(image="mine:dev", pod_command=("/server", "$HOME"))
    return original_command(container, pod_image(Images(LOCAL, pod, needed=False), wanted, container))


def test_the_templates_arguments_stay() -> None:
    assert command({}) == ("/server", "$$HOME")
    assert command({"args": ["--port=$(PORT)"]}) == ("/server", "$$HOME", "--port=$(PORT)")
    assert command(COMMAND) == ("/own",)
    assert command({}, ImageChoice("private:1", "", FACTS)) == ("/app", "-v")


def test_the_pods_image_is_needed_where_nothing_stands_for_it() -> None:
    assert needs_pod_image(workload(), COMMAND)  # the local container runs it
    assert needs_pod_image(workload(pod_command=("/server",)), {})
    assert needs_pod_image(workload(image="mine:dev"), {})
    assert not needs_pod_image(workload(image="mine:dev"), COMMAND)
    assert not needs_pod_image(workload(image="mine:dev", pod_command=("/server",)), {})


def test_what_has_to_be_pulled_is_named_once() -> None:
    absent = ImageChoice("web:1", "", None, source="web:1")
    assert Images(absent, absent, needed=True).absent == (absent,)
    assert Images(LOCAL, absent, needed=True).absent == (absent,)
    assert Images(LOCAL, LOCAL, needed=True).absent == ()
    always = ImageChoice("web:1", "", FACTS, source="web:1")
    both = Images(always, always, needed=True)
    assert (both.absent, both.pending) == ((always,), False)
