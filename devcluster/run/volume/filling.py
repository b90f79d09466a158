"""The volumes of one workload: which there are, where each is copied to, and how far.

Each mount of the pod's container is a copy of its own, in a private Docker volume or in ``path:`` on the
laptop, filled from the first agent; ``volumes`` does one of them, here they are done together.  Whether a
mount is a directory or one file only the pod can tell, so it is asked before each fill.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from devcluster.config.read.globs import escape_glob, matches
from devcluster.edge.agent.files import FolderDestination
from devcluster.edge.agent.one_file import FileDestination
from devcluster.edge.agent.ssh import AgentLink
from devcluster.edge.background import together
from devcluster.edge.docker.files import VolumeDestination
from devcluster.errors import FailedError
from devcluster.rules.cluster.memory_variables import mount_figures
from devcluster.rules.container.container_spec import VolumeBind
from devcluster.rules.container.environment import RewriteMade, rewritable_services
from devcluster.rules.volume.live import check_live, describe
from devcluster.rules.volume.tree import parse_tree
from devcluster.rules.volume.volumes import VolumePlan, nested
from devcluster.run.cluster.wanted import Wanted
from devcluster.run.log import to_log
from devcluster.run.report import Progress, Report
from devcluster.run.site import Site, live_program
from devcluster.run.turn import Turn
from devcluster.run.volume.live_note import retire_note
from devcluster.run.volume.live_volume import LiveSpec
from devcluster.run.volume.live_volumes import LiveVolumes, Wish
from devcluster.run.volume.one_fill import FillResult, Rewriting, TornError
from devcluster.run.volume.roots import destination_below, note_mounts
from devcluster.run.volume.single_file import SingleSource, find_single
from devcluster.run.volume.volumes import (
    Listed,
    TreeSource,
    check_volume,
    empty_volume,
    fill_volume,
    manifest_path,
)

Json = dict[str, object]
_TORN = 3  # times that a set is read again
_SAY_EVERY = 0.5  # seconds; a volume of a hundred thousand files has as many steps


@dataclass(frozen=True, slots=True)
class _Copy:
    plan: VolumePlan
    label: str  # the volume's name, or the mount path where a volume is mounted twice
    destination: VolumeDestination | FolderDestination | FileDestination
    file: str = ""  # the name of the one file that the mount is

    @property
    def bind(self) -> VolumeBind:
        volume = self.plan.volume
        file = self.file if isinstance(self.destination, VolumeDestination) else ""
        return VolumeBind(self.destination.name, volume.mount_path, volume.read_only, file)

    @property
    def is_live(self) -> bool:
        return self.plan.mode == "sync"

    def source(self, link: AgentLink) -> TreeSource:
        return SingleSource(link, self.file) if self.file else link


class Filling:
    """Made anew for each version of the file."""

    def __init__(self, site: Site, wanted: Wanted, live: LiveVolumes) -> None:
        self._site = site
        self._wanted = wanted
        self._live = live
        self._results: dict[str, FillResult] = {}
        self._scanned: dict[tuple[str, str], Listed] = {}  # by label and file
        self._said: dict[str, tuple[float, tuple[int, ...]]] = {}
        self._listed = tuple(
            _Copy(plan, label, self._target(plan, label))
            for plan, label in labelled(wanted.volumes)
            if plan.mode in ("copy", "sync")
            or (plan.mode == "empty" and (self._in_folder or plan.volume.kind != "memory"))
        )
        self._copies = self._listed  # as the last fill found them

    @property
    def binds(self) -> tuple[VolumeBind, ...]:
        """What the container mounts."""
        return tuple(copy.bind for copy in self._copies)

    async def fill(self, link: AgentLink, turn: Turn) -> None:
        """Copy, or what changed since the last time; all volumes at once."""
        self._copies = await self._found(link)
        if self._in_folder:
            below = ((it.plan.volume.mount_path, it.file) for it in self._copies if it.plan.path is None)
            note_mounts(self._site.place, self._wanted.workload.key, below)
        await self._live.follow({copy.label: self._wish(copy) for copy in self._copies if copy.is_live}, turn)
        await together(*(self._fill_one(copy, link, turn) for copy in self._copies), name="fill")

    async def _fill_one(self, copy: _Copy, link: AgentLink, turn: Turn) -> None:
        if copy.is_live:
            await self._live.fill(copy.label, turn)
        else:
            await self._fill(copy, link, turn.report)

    def _wish(self, copy: _Copy) -> Wish:
        assert not isinstance(copy.destination, FileDestination)
        volume = copy.plan.volume
        of_pod = f"{self._wanted.title}/{volume.name}/{volume.sub_path}"
        rewrite = self._rewriting(copy.plan)
        spec = LiveSpec(copy.label, copy.plan, self._exclude(copy), rewrite, self._in_folder, of_pod)
        return spec, copy.destination

    @property
    def versions(self) -> frozenset[str]:
        """Of the copies of what kubelet writes anew: what they were filled by."""
        return frozenset(result.version for result in self._results.values() if result.version)

    async def refresh(self, link: AgentLink, versions: Collection[str]) -> None:
        """The copies of what kubelet has written anew: those that have none of *versions*."""
        old = [copy for copy in self._copies if self._version(copy) not in ("", *versions)]
        await together(*(self._fill(copy, link, to_log) for copy in old), name="refresh")
        for copy in old:
            to_log(Progress(self._wanted.workload.key, f"volume {copy.label} was written anew in the pod"))

    def _version(self, copy: _Copy) -> str:
        result = self._results.get(copy.label)
        return result.version if result else ""

    async def check(self, link: AgentLink) -> None:
        """ConfigurationError where a volume can't be copied; nothing is made and nothing moves.  The next
        fill takes what was seen: a large volume is not walked through twice."""
        await together(*(self._check(copy, link) for copy in await self._found(link)), name="check")

    def differs(self, wanted: Wanted) -> bool:
        """Whether *wanted* asks for other volumes, or for the same ones otherwise."""
        return wanted.volumes != self._wanted.volumes

    def status(self) -> list[Json]:
        """``volumes`` of ``status -o json``."""
        rows: list[Json] = []
        for plan, label in labelled(self._wanted.volumes):
            result = self._results.get(label)
            head = {"name": label, "path": plan.volume.mount_path, "mode": plan.mode}
            row = describe(plan.volume.mount_path, {}) | {
                "files": result.files if result else 0,
                "bytes": result.bytes if result else 0,
                "left_out": [{"path": name, "reason": why} for name, why in _left_out(result)],
            }
            rows.append(head | row | self._live.row(label))
        return rows

    def rewrites(self) -> tuple[RewriteMade, ...]:
        """The files in which a host was qualified, or left."""
        of_copies = ((label, made) for label, result in self._results.items() for made in result.rewrites)
        return tuple(
            RewriteMade(f"{label}:{made.path}", made.service, made.to, made.kept)
            for label, made in sorted((*of_copies, *self._live.rewrites()), key=lambda it: it[0])
        )

    @property
    def _in_folder(self) -> bool:
        """Whether what serves mounts nothing and has them below one folder."""
        return self._wanted.serving.copies_in == "folder"

    def _target(
        self, plan: VolumePlan, label: str
    ) -> VolumeDestination | FolderDestination | FileDestination:
        if plan.path is not None:
            return FolderDestination(plan.path)
        if self._in_folder:
            return destination_below(self._site.place, self._wanted.workload.key, plan.volume.mount_path)
        return VolumeDestination(self._site.engine, self._site.place.id, self._wanted.workload.key, label)

    async def _found(self, link: AgentLink) -> tuple[_Copy, ...]:
        """Each as the pod has it now; a single file that ``exclude`` names is not mounted."""
        found = await together(*(self._shaped(copy, link) for copy in self._listed), name="look")
        return tuple(copy for copy in found if not (copy.file and matches(copy.file, copy.plan.exclude)))

    async def _shaped(self, copy: _Copy, link: AgentLink) -> _Copy:
        plan = copy.plan
        file = await find_single(link, plan.volume)
        if not file or plan.path is None:
            return replace(copy, file=file)
        return replace(copy, file=file, destination=FileDestination(plan.path, file))

    def _exclude(self, copy: _Copy) -> tuple[str, ...]:
        return (*copy.plan.exclude, *nested(copy.plan, self._wanted.volumes))

    async def _check(self, copy: _Copy, link: AgentLink) -> None:
        plan = copy.plan
        if plan.mode == "empty":
            return
        root = plan.volume.mount_path
        exclude = self._exclude(copy)
        lines = await check_volume(copy.source(link), root, exclude, plan.limit, copy.label)
        if copy.is_live:
            check_live(plan, copy.label, parse_tree(lines), single=bool(copy.file))
            if self._in_folder:
                live_program()
        else:
            self._scanned[copy.label, copy.file] = lines

    async def _fill(self, copy: _Copy, link: AgentLink, report: Report) -> None:
        if copy.plan.mode == "empty":
            await empty_volume(copy.source(link), copy.plan.volume.mount_path, copy.destination)
            return
        retire_note(manifest_path(self._site.place, copy.destination), await copy.destination.identity())
        result = await self._copy(copy, link, report)
        if result.left_out and _left_out(self._results.get(copy.label)) != result.left_out:
            report(Progress(self._wanted.workload.key, render_left_out(copy.label, result.left_out)))
        self._results[copy.label] = result
        if result.kept_local:
            kept = ", ".join(result.kept_local[:3]) + (" …" if len(result.kept_local) > 3 else "")
            count = len(result.kept_local)
            text = f"volume {copy.label}: {count} changed here and in the pod, left as they are here: {kept}"
            report(Progress(self._wanted.workload.key, text))

    async def _copy(self, copy: _Copy, link: AgentLink, report: Report) -> FillResult:
        """What kubelet writes meanwhile is read again; it does so once a minute at most."""
        for _ in range(_TORN):
            with contextlib.suppress(TornError):
                return await self._copy_once(copy, link, report)
        raise FailedError(f"volume {copy.label} is written anew all the time")

    async def _copy_once(self, copy: _Copy, link: AgentLink, report: Report) -> FillResult:
        return await fill_volume(
            source=copy.source(link),
            root=copy.plan.volume.mount_path,
            destination=copy.destination,
            previous=manifest_path(self._site.place, copy.destination),
            exclude=self._exclude(copy),
            limit=copy.plan.limit,
            rewrite=self._rewriting(copy.plan),
            report=lambda *numbers: self._say(report, copy.label, numbers),
            label=copy.label,
            scanned=self._scanned.pop((copy.label, copy.file), None),
            renewed=copy.plan.volume.is_renewed,
        )

    def _rewriting(self, plan: VolumePlan) -> Rewriting | None:
        wanted = self._wanted
        figures = mount_figures(
            wanted.container, wanted.pod_spec, plan.volume, wanted.install.observed.admitted
        )
        if not plan.rewrite and not figures:
            return None
        services = rewritable_services(wanted.workload, wanted.services, wanted.ref.namespace)
        patterns = (*plan.rewrite, *(escape_glob(figure.name) for figure in figures))
        return Rewriting(patterns, services, wanted.ref.namespace, figures)

    def _say(self, report: Report, label: str, numbers: tuple[int, ...]) -> None:
        """Now and then, and the last of it once; *numbers* as ``run.one_fill`` reports them."""
        done, files, size, count = numbers
        when, said = self._said.get(label, (0.0, ()))
        now = time.monotonic()
        if said == numbers or (files < count and now - when < _SAY_EVERY):
            return
        self._said[label] = (now, numbers)
        key, text = self._wanted.workload.key, f"copying {label}"
        report(Progress(key, text, done, size, "bytes", item=label, files=files, files_total=count))


def _left_out(result: FillResult | None) -> tuple[tuple[str, str], ...]:
    return result.left_out if result else ()


def render_left_out(label: str, left_out: tuple[tuple[str, str], ...]) -> str:
    """The first few by name."""
    named = ", ".join(f"{name} ({why})" for name, why in left_out[:3]) + (" …" if len(left_out) > 3 else "")
    return f"volume {label}: left out, {len(left_out)} of its names: {named}"


def labelled(plans: tuple[VolumePlan, ...]) -> list[tuple[VolumePlan, str]]:
    """Each with a name that is unique in this workload."""
    names = [plan.volume.name for plan in plans]
    return [
        (plan, plan.volume.name if names.count(plan.volume.name) == 1 else plan.volume.mount_path)
        for plan in plans
    ]
