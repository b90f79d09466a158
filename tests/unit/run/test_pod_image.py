"""Where the laptop can't read the pod's image, `pod_command` stands for what only the image knew."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.config.model import Target, Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.template import original_command
from devcluster.run.workload.wanted import read_pod_image


class NoImage:
    async def find_image(self, *_: Any) -> Any:
        raise ConfigurationError("neither found nor pulled")


async def command(container: dict[str, Any], **words: Any) -> tuple[str, ...]:
    container = {"name": "web", "image": "private:1"} | container
    workload = Workload(key="web", target=Target("web"), **words)
    engine: Any = NoImage()
    return original_command(container, await read_pod_image(engine, workload, container, ""))


async def test_the_templates_arguments_stay() -> None:
    words: dict[str, Any] = {"image": "mine:dev", "pod_command": ("/server", "$HOME")}
    assert await command({}, **words) == ("/server", "$$HOME")
    assert await command({"args": ["--port=$(PORT)"]}, **words) == ("/server", "$$HOME", "--port=$(PORT)")
    assert await command({"command": ["/own"]}, **words) == ("/own",)


async def test_what_is_needed_and_can_not_be_read_is_said() -> None:
    for words in ({"image": "mine:dev"}, {"pod_command": ("/server",)}, {}):
        with pytest.raises(ConfigurationError, match="neither found nor pulled"):
            await command({}, **words)
