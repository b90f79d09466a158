"""The volumes of one workload: which there are, where each is copied to, and how far.

Each mount of the pod's container is a copy of its own, in a private Docker volume, in memory, or in ``path:``
on the laptop, filled from the first agent; ``volumes`` does one of them, here they are done together.  What
is mounted only the pod can tell, so it is asked before the fill; until then the file's view is a prediction.
What can't be had is left out by name: nobody loses a working container for a socket.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Sequence

from devcluster.config.text.globs import escape_glob
from devcluster.edge.agent.ssh import AgentLink, UnreadableError
from devcluster.edge.background import together
from devcluster.edge.docker.memory import MemoryDestination
from devcluster.edge.folder.one_file import FileDestination
from devcluster.errors import ConfigurationError, FailedError
from devcluster.rules.cluster.memory_variables import mount_figures
from devcluster.rules.container.environment import RewriteMade, rewritable_services
from devcluster.rules.container.local_container import VolumeBind
from devcluster.rules.counted import counted
from devcluster.rules.volume.live import check_live, describe, stays_here
from devcluster.rules.volume.tree import parse_left_out, parse_tree
from devcluster.rules.volume.volumes import VolumePlan, labelled
from devcluster.run.log import to_log
from devcluster.run.report import Progress, Report
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.volume.copies import Copy, list_copies, read_plans, resolve
from devcluster.run.volume.live_engine import LiveSpec
from devcluster.run.volume.live_note import retire_note
from devcluster.run.volume.live_volumes import LiveVolumes, LiveWish
from devcluster.run.volume.one_fill import FillResult, Rewriting, TornError
from devcluster.run.volume.private_copy import (
    CopySpec,
    Listed,
    TooLargeError,
    check_volume,
    empty_volume,
    fill_volume,
    manifest_path,
)
from devcluster.run.volume.roots import note_mounts
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, object]
_TORN = 3  # times that a set is read again
_SAY_EVERY = 0.5  # seconds; a volume of a hundred thousand files has as many steps


class WorkloadVolumes:
    """Made anew for each version of the file."""

    def __init__(self, site: Site, wanted: Wanted, live: LiveVolumes) -> None:
        self._site = site
        self._wanted = wanted
        self._plans = wanted.volumes  # a prediction until a pod has told
        self._told_by = ""
        self._copies: tuple[Copy, ...] = ()  # as the last look found them
        self._bare: tuple[Copy, ...] = ()  # in memory, with nothing in it
        self._left_out: dict[str, str] = {}  # whole volumes by label, and why
        self._live = live
        self._results: dict[str, FillResult] = {}
        self._scanned: dict[str, Listed] = {}  # by label
        self._said: dict[str, tuple[float, tuple[int, ...]]] = {}
        self._named: set[str] = set()  # what `up` has said of what is left out

    @property
    def binds(self) -> tuple[VolumeBind, ...]:
        """What the container mounts."""
        return tuple(copy.bind for copy in self._copies)

    @property
    def bare(self) -> tuple[tuple[str, int | None], ...]:
        """Path and size of what is in memory and empty."""
        return tuple((copy.root, copy.plan.volume.size_limit) for copy in self._bare)

    @property
    def in_memory(self) -> bool:
        """Whether there are files that a restart of the engine takes along."""
        return any(isinstance(copy.destination, MemoryDestination) for copy in self._copies)

    async def check(self, link: AgentLink) -> None:
        """ConfigurationError where a volume can't be copied that the file asks for; nothing is made and
        nothing moves.  The next fill takes what was seen: a large volume is not walked through twice."""
        if self._told_by != link.address.pod:
            self._plans = await read_plans(self._site.cluster, self._wanted, link)
            self._told_by = link.address.pod
        self._left_out = {label: plan.left_out for plan, label in labelled(self._plans) if plan.left_out}
        found = list_copies(self._site, self._wanted, self._plans)
        seen = await together(*(self._look(copy, link) for copy in found), name="look")
        fit = [(copy, lines) for copy, lines in zip(found, seen, strict=True) if lines is not None]
        self._bare = tuple(copy for copy, lines in fit if _is_bare(copy, lines))
        self._copies = tuple(copy for copy, lines in fit if not _is_bare(copy, lines))

    async def check_edit(self, wanted: Wanted, link: AgentLink) -> None:
        """The same for the volumes that *wanted* asks for, where they differ from those that are there."""
        if wanted is self._wanted:
            await self.check(link)
        elif self.differs(wanted):
            await WorkloadVolumes(self._site, wanted, self._live).check(link)

    async def fill(self, link: AgentLink, turn: Turn) -> None:
        """Copy them, or what changed since the last time; all volumes at once."""
        await self.check(link)
        self._name(turn.report)
        if self._in_folder:
            below = ((it.root, it.file) for it in self._copies if it.plan.path is None)
            note_mounts(self._site.place, self._wanted.workload.key, below)
        await self._live.follow({copy.label: self._wish(copy) for copy in self._copies if copy.is_live}, turn)
        await together(*(self._fill_one(copy, link, turn) for copy in self._copies), name="fill")
        self._scanned.clear()

    async def _fill_one(self, copy: Copy, link: AgentLink, turn: Turn) -> None:
        if copy.is_live:
            await self._live.fill(copy.label, turn)
        else:
            await self._fill(copy, link, turn.report)

    def _wish(self, copy: Copy) -> LiveWish:
        assert not isinstance(copy.destination, FileDestination)
        volume = copy.plan.volume
        of_pod = f"{self._wanted.title}/{volume.name}/{volume.sub_path}"
        rewrite = self._rewriting(copy.plan)
        spec = LiveSpec(copy.label, copy.plan, copy.exclude, rewrite, self._in_folder, of_pod)
        return spec, copy.destination

    @property
    def versions(self) -> frozenset[str]:
        """The versions that the copies of what kubelet writes anew were filled from."""
        return frozenset(result.version for result in self._results.values() if result.version)

    async def refresh(self, link: AgentLink, versions: Collection[str]) -> None:
        """Fill the copies of what kubelet has written anew: those whose version is none of *versions*."""
        old = [copy for copy in self._copies if self._version(copy) not in ("", *versions)]
        await together(*(self._fill(copy, link, to_log) for copy in old), name="refresh")
        for copy in old:
            to_log(Progress(self._wanted.workload.key, f"volume {copy.label} was written anew in the pod"))

    def _version(self, copy: Copy) -> str:
        result = self._results.get(copy.label)
        return result.version if result else ""

    async def drop_memory(self) -> None:
        """What is in memory goes as soon as no container has it."""
        places = [copy.destination for copy in (*self._copies, *self._bare)]
        drops = [place.drop() for place in places if isinstance(place, MemoryDestination)]
        await together(*drops, name="memory")

    def differs(self, wanted: Wanted) -> bool:
        """Whether *wanted* asks for other volumes, or for the same ones otherwise."""
        if not self._told_by:
            return wanted.volumes != self._wanted.volumes
        return resolve(wanted, tuple(plan.volume for plan in self._plans)) != self._plans

    def status(self) -> list[Json]:
        """``volumes`` of ``status -o json``."""
        return [self._row(plan, label) for plan, label in labelled(self._plans)]

    def _row(self, plan: VolumePlan, label: str) -> Json:
        result, whole = self._results.get(label), self._left_out.get(label, plan.left_out)
        named = ((".", whole),) if whole else _left_out(result)
        mode = "off" if whole else "memory" if plan.in_memory and not self._in_folder else plan.mode
        head = {"name": label, "path": plan.volume.mount_path, "mode": mode}
        row = describe(plan.volume.mount_path, {}) | {
            "files": result.files if result else 0,
            "bytes": result.bytes if result else 0,
            "left_out": [{"path": name, "reason": why} for name, why in named],
        }
        return head | row | self._live.row(label)

    def rewrites(self) -> tuple[RewriteMade, ...]:
        """The files in which a host was qualified, or left alone."""
        of_copies = ((label, made) for label, result in self._results.items() for made in result.rewrites)
        return tuple(
            RewriteMade(f"{label}:{made.path}", made.service, made.to, made.kept)
            for label, made in sorted((*of_copies, *self._live.rewrites()), key=lambda it: it[0])
        )

    @property
    def _in_folder(self) -> bool:
        """Whether what serves mounts nothing, and has its volumes below one folder."""
        return self._wanted.serving.copies_in == "folder"

    async def _look(self, copy: Copy, link: AgentLink) -> Listed | None:
        """What the pod has of it; None, and why is kept, where that is nothing to be copied."""
        if copy.label in self._scanned:
            return self._scanned[copy.label]
        empty = copy.plan.mode == "empty"
        try:
            lines = await copy.source(link).scan(copy.root, ("**",) if empty else copy.exclude)
            if not empty:
                check_volume(self._spec(copy), lines)
            if copy.is_live:
                check_live(copy.plan, copy.label, parse_tree(lines), single=bool(copy.file))
        except UnreadableError as error:
            self._leave_out(copy, error.reason)
            return None
        except TooLargeError as error:
            if copy.plan.written or copy.plan.volume.kind != "hostpath":
                raise
            self._leave_out(copy, error.message)
            return None
        if odd := parse_left_out(lines).get(copy.file or ".") if _is_odd(lines) else "":
            self._leave_out(copy, odd)
            return None
        self._scanned[copy.label] = lines
        return lines

    def _leave_out(self, copy: Copy, why: str) -> None:
        if copy.plan.written:
            where = f"workloads.{self._wanted.workload.key}.volumes"
            raise ConfigurationError(
                f"{where}: {copy.label} can't be copied: {why}", hint="write `mode: off` for it"
            )
        self._left_out[copy.label] = why

    def _name(self, report: Report) -> None:
        """What is left out as a whole, and where the writes to the rest stay; each once."""
        said = [f"volume {label}: left out: {why}" for label, why in sorted(self._left_out.items())]
        here = ((plan, label) for plan, label in labelled(self._plans) if label not in self._left_out)
        for text in filter(None, (*said, stays_here(here))):
            if text not in self._named:
                self._named.add(text)
                report(Progress(self._wanted.workload.key, text))

    def _spec(self, copy: Copy) -> CopySpec:
        return CopySpec(
            copy.root,
            manifest_path(self._site.place, copy.destination),
            copy.label,
            copy.exclude,
            copy.plan.limit,
            self._rewriting(copy.plan),
            renewed=copy.plan.volume.is_renewed,
        )

    async def _fill(self, copy: Copy, link: AgentLink, report: Report) -> None:
        if copy.plan.mode == "empty":
            await empty_volume(copy.source(link), copy.root, copy.destination)
            return
        retire_note(manifest_path(self._site.place, copy.destination), await copy.destination.identity())
        result = await self._copy(copy, link, report)
        if result.left_out and _left_out(self._results.get(copy.label)) != result.left_out:
            report(Progress(self._wanted.workload.key, render_left_out(copy.label, result.left_out)))
        self._results[copy.label] = result
        if result.kept_local:
            kept = ", ".join(result.kept_local[:3]) + (" …" if len(result.kept_local) > 3 else "")
            files = counted(len(result.kept_local), "file", "files")
            text = (
                f"volume {copy.label}: {files} changed here and in the pod; your versions were kept: {kept}"
            )
            if result.database:
                text += f"; a data folder of {result.database} stays as a whole (`down -v` drops this copy)"
            report(Progress(self._wanted.workload.key, text))

    async def _copy(self, copy: Copy, link: AgentLink, report: Report) -> FillResult:
        """What kubelet writes meanwhile is read again; it does so once a minute at most."""
        for _ in range(_TORN):
            with contextlib.suppress(TornError):
                return await self._copy_once(copy, link, report)
        raise FailedError(f"volume {copy.label} changed each time while it was read")

    async def _copy_once(self, copy: Copy, link: AgentLink, report: Report) -> FillResult:
        return await fill_volume(
            copy.source(link),
            copy.destination,
            self._spec(copy),
            report=lambda *numbers: self._say(report, copy.label, numbers),
            scanned=self._scanned.pop(copy.label, None),
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
        """Now and then, and the last of it once; *numbers* as ``run.volume.one_fill`` reports them."""
        done, files, size, count = numbers
        when, said = self._said.get(label, (0.0, ()))
        now = time.monotonic()
        if said == numbers or (files < count and now - when < _SAY_EVERY):
            return
        self._said[label] = (now, numbers)
        key, text = self._wanted.workload.key, f"copying {label}"
        report(Progress(key, text, done, size, "bytes", item=label, files=files, files_total=count))


def _is_odd(lines: Listed) -> bool:
    """Whether the mount itself is neither a directory nor a file: a socket, a device."""
    return len(lines) == 1 and lines[0]["type"] not in ("d", "f")


def _is_bare(copy: Copy, lines: Listed) -> bool:
    """Whether it is in memory and nothing is to be put into it: then the container makes it."""
    return isinstance(copy.destination, MemoryDestination) and not copy.file and len(lines) < 2


def _left_out(result: FillResult | None) -> tuple[tuple[str, str], ...]:
    return result.left_out if result else ()


def render_left_out(label: str, left_out: Sequence[tuple[str, str]]) -> str:
    """The first few by name."""
    named = ", ".join(f"{name} ({why})" for name, why in left_out[:3]) + (" …" if len(left_out) > 3 else "")
    not_copied = counted(len(left_out), "entry was not copied", "entries were not copied")
    return f"volume {label}: {not_copied}: {named}"
