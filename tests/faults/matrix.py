"""Every fault, one row each: ``python -m tests.faults.matrix [--write] [NAME…]``.

A row has a namespace, a project folder and a relay of its own: attach, break, see it told and mended,
``down``, count what is left.  The promises: a lie of ``status`` lasts 2 s at most, new connections reach
the laptop 5 s after the part is back, nothing is left over.  A figure that breaks one is printed, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.faults import FAULTS, Fault, Stage
from tests.faults.relay import open_relay
from tests.faults.second_engine import open_second_engine
from tests.faults.witness import Witness, open_witness
from tests.scenarios.world import load_app, open_world

TRUTH, FLOW = 2.0, 5.0  # seconds promised
_GUARD = 90.0
_SETTLE = 10.0  # seconds for answers that are still under way
_PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reliability.md"
_MARK = "<!-- the matrix -->"
_HEAD = "| fault | truth in status after | traffic again after | failed requests | left over | |"


@dataclass(frozen=True, slots=True)
class Row:
    """``truth``, ``flow``: seconds; ``broken``: which promises were not kept, and how."""

    title: str
    truth: float
    flow: float
    failed: int
    left: tuple[str, ...]
    broken: tuple[str, ...]

    def __str__(self) -> str:
        kept = "kept" if not self.broken else "; ".join(self.broken)
        figures = f"{self.truth:.1f} s | {self.flow:.1f} s | {self.failed} | {len(self.left)}"
        return f"| {self.title} | {figures} | {kept} |"


@contextlib.asynccontextmanager
async def open_stage(
    kubeconfig: Path, folder: Path, app: str, *, own_engine: bool = False
) -> AsyncIterator[Stage]:
    """The test application, attached through a relay; *own_engine*: on a laptop with its own Docker."""
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_second_engine()) if own_engine else None
        world = await stack.enter_async_context(open_world(kubeconfig, folder, app))
        listening = engine.listen() if engine else None
        relay = await stack.enter_async_context(open_relay(kubeconfig, folder / "relayed", listening))
        world.environ["KUBECONFIG"] = str(folder / "relayed")
        if engine is not None:
            await engine.load(app)
            world.environ["DOCKER_HOST"], world.before = engine.host, engine.inside
        try:
            await world.deploy()
            template = await world.template()
            service = (await world.cluster.get("service", "web", world.namespace))["spec"]
            await world.devcluster("up", "-d")
            yield Stage(world, relay, kubeconfig, template, service, engine)
        finally:
            relay.set("pass")
            await world.devcluster("down", "--volumes", code=None)


async def run_fault(stage: Stage, fault: Fault) -> Row:
    """See the module."""
    async with open_witness(stage.world, stage.kubeconfig) as witness:
        await witness.flows("local", since=time.time(), guard=_GUARD)
        await witness.says("attached", since=time.time(), guard=_GUARD)
        began = time.time()
        back = await fault.happen(stage)
        flows = await witness.flows("local", since=back, guard=_GUARD)
        await witness.says("attached", since=max(flows, back), guard=_GUARD)
        ended = time.time()
        await witness.settle(until=ended, guard=_SETTLE)
    left = await undo(stage)
    truth = witness.lie("local", since=began, until=ended)
    failed = witness.failed(since=began, until=ended)
    broken = _judge(witness, truth, flows - back, left, (began, ended))
    return Row(fault.title, truth, max(flows - back, 0.0), failed, left, broken)


async def undo(stage: Stage) -> tuple[str, ...]:
    """``down``; what of ours is left, and what is not as it was before but for what the fault changed."""
    world = stage.world
    await world.devcluster("down", "--volumes")
    left = [*world.docker_leftovers(), *await world.cluster_leftovers()]
    if await world.template() != stage.template:
        left.append("the template of deployment/web is another one")
    if (await world.cluster.get("service", "web", world.namespace))["spec"] != stage.service:
        left.append("service/web is another one")
    return tuple(left)


def _judge(
    witness: Witness, truth: float, flow: float, left: tuple[str, ...], times: tuple[float, float]
) -> tuple[str, ...]:
    found = []
    if truth > TRUTH:
        found.append(f"truth late: {truth:.1f} s")
    if not witness.explained(since=times[0], until=times[1]):
        found.append("a state without reason or since")
        print([it for it in witness.said if it.state != "attached"], file=sys.stderr, flush=True)
    if flow > FLOW:
        found.append(f"traffic late: {flow:.1f} s")
    if wrong := witness.wrong({"local", "original"}):
        found.append(f"{wrong} wrong answers")
    return (*found, *(f"left: {it}" for it in left))


async def run_row(kubeconfig: Path, app: str, fault: Fault) -> Row:
    """One fault on a stage of its own; what breaks the row itself is told in it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            async with open_stage(kubeconfig, Path(folder), app, own_engine=fault.engine) as stage:
                return await run_fault(stage, fault)
        except (Exception, ExceptionGroup) as error:  # a row that fails must not hide the others
            traceback.print_exception(error)
            what = f"not finished: {type(error).__name__}"
            return Row(fault.title, 0.0, 0.0, 0, (), (what,))


async def run_matrix(kubeconfig: Path, names: list[str]) -> list[Row]:
    app = load_app(kubeconfig)
    rows = []
    print(_HEAD, "|---|---|---|---|---|---|", sep="\n", flush=True)
    for fault in FAULTS:
        if not names or fault.name in names:
            rows.append(await run_row(kubeconfig, app, fault))
            print(rows[-1], flush=True)
    return rows


def write_page(rows: list[Row]) -> None:
    """The table goes between the marks of docs/reliability.md."""
    before, _, after = _PAGE.read_text().split(_MARK)
    table = "\n".join([_HEAD, "|---|---|---|---|---|---|", *map(str, rows)])
    _PAGE.write_text(f"{before}{_MARK}\n{table}\n{_MARK}{after}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="the table into docs/reliability.md, too")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(it.name for it in FAULTS))
    options = parser.parse_args()
    rows = asyncio.run(run_matrix(Path(os.environ["DEVCLUSTER_TEST_KUBECONFIG"]), options.names))
    if options.write:
        write_page(rows)
    return int(any(row.broken for row in rows))


if __name__ == "__main__":
    sys.exit(main())
