"""Python starts with this file where its folder is on PYTHONPATH: whoever starts a gateway hears that it runs
``_LATE`` seconds afterwards, as of a busy engine, and each start is a line in DEVCLUSTER_TEST_GATEWAYS."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from devcluster.edge.docker import gateway

_LATE = 2.0  # longer than the engine takes to tell that the one before has ended
_start = gateway.start_gateway


def _note() -> None:
    with open(os.environ["DEVCLUSTER_TEST_GATEWAYS"], "a") as file:
        file.write("started\n")


async def _started_late(*args: Any, **settings: Any) -> str:
    _note()
    container = await _start(*args, **settings)
    await asyncio.sleep(_LATE)
    return container


gateway.start_gateway = _started_late
