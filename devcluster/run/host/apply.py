"""What `up` makes of each workload: attach it, edit what is attached, or nothing.

``rules.outcome`` decides which; here it is done, and put back where it fails.  All workloads are worked on at
once.  One that fails does not stop the others, unless they belong together.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any

from devcluster.config.model import Workload
from devcluster.errors import DevclusterError, FailedError, LeftoverError
from devcluster.rules.outcome import Comparison, Decision, decide
from devcluster.run.attach.attachment import Attachment
from devcluster.run.cluster.install import BusyError, Installed
from devcluster.run.exports import Exports
from devcluster.run.host.failure import Attempt, ending_error
from devcluster.run.host.holdings import Holdings
from devcluster.run.host.opening import Opening
from devcluster.run.host.results import half_way, settle
from devcluster.run.site import Site
from devcluster.run.turn import Turn
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]


class Apply:
    """One session's."""

    def __init__(self, site: Site, holdings: Holdings, opening: Opening) -> None:
        self._site = site
        self._holdings = holdings
        self._opening = opening

    async def decide(self, current: Attachment | None, wanted: Wanted | None, turn: Turn) -> Decision:
        """*current*: what is attached under its key; *wanted* None: it is no longer in the file."""
        if wanted is None:
            return decide(Comparison(in_file=False))
        seen = Comparison(
            attached=current.truth.state if current is not None else None,
            agent_fits=wanted.install.adopted,
            astray=wanted.install.astray,
            same_taking=current is None or current.is_taken_as(wanted),
        )
        if current is not None and seen.in_place:
            seen = replace(seen, differs=not wanted.images.here or await current.differs(wanted, turn))
        return decide(seen)

    async def perform(
        self, wanted: list[Wanted], turn: Turn, *, takeover: bool, whole: bool
    ) -> list[Json | BaseException]:
        """All at once.  If it is broken off, or one fails with *whole*, or this process is told to end
        meanwhile, what was done is put back, too."""
        before = frozenset(self._holdings.attachments)
        try:
            results = await settle(*(self._apply_one(item, turn, takeover=takeover) for item in wanted))
        except asyncio.CancelledError:
            for item, error in await self._undo(wanted, turn, before, "interrupted"):
                self._holdings.tell(item, error, turn)
            raise
        both = zip(wanted, results, strict=True)
        failed = [item.workload.key for item, result in both if isinstance(result, BaseException)]
        if not self._holdings.ending and not (whole and failed):
            return half_way(results)
        why = f"{', '.join(failed)} failed" if failed else "ending"
        undone = await self._undo(wanted, turn, before, why)
        errors = [result for result in results if isinstance(result, BaseException)]
        errors += [ending_error()] if self._holdings.ending else []
        return half_way([*errors, *(_as_well(item, error) for item, error in undone)])

    async def _undo(
        self, wanted: list[Wanted], turn: Turn, before: frozenset[str], why: str
    ) -> list[tuple[Wanted, DevclusterError]]:
        """Put back what is attached now and was not *before*; return each with the error that resulted."""
        done = [it for it in wanted if it.workload.key in self._holdings.attachments.keys() - before]
        error = FailedError(why)
        put_back = (
            self._holdings.put_back(it, turn, created=not it.install.adopted, error=error) for it in done
        )
        return list(zip(done, await asyncio.gather(*put_back), strict=True))

    async def _apply_one(self, wanted: Wanted, turn: Turn, *, takeover: bool) -> Json:
        turn = turn.stretched(wanted.patience)
        current = self._holdings.attachments.get(wanted.workload.key)
        if current is not None:
            await current.until_engine(turn)
        decision = await self.decide(current, wanted, turn)
        if decision.work == "attach" or current is None:
            current = await self._attach(wanted, current, turn, takeover=takeover)
        else:
            await self._edit(current, wanted, decision, turn, takeover=takeover)
        told = await self._tell_environment(current, wanted.workload, turn)
        return self._row(current, decision.outcome, told)

    async def _tell_environment(self, attachment: Attachment, workload: Workload, turn: Turn) -> list[str]:
        """What there is to say about the environment; the file with it is written.  *workload*: as the file
        says now, since another name of that file is no edit of the attachment."""
        if not attachment.wanted.serving.exports_always and workload.env_export is None:
            return Exports(self._site.place).remove([workload.key])
        environment = await attachment.environment(turn)
        exported = Exports(self._site.place).write(workload.key, workload.env_export, environment)
        return [*environment.notes, *exported]

    async def _edit(
        self, current: Attachment, wanted: Wanted, decision: Decision, turn: Turn, *, takeover: bool
    ) -> None:
        if decision.work == "edit":
            await current.check(wanted)
        async with self._holdings.or_put_back(wanted, turn, created=False) as attempt:
            if decision.lead:
                await self._install(wanted, turn, takeover=takeover, attempt=attempt)
                await current.until_repaired(turn)
            if decision.work == "edit":
                await current.change(wanted, turn)
            elif decision.lead:
                current.note(wanted)

    async def _attach(
        self, wanted: Wanted, former: Attachment | None, turn: Turn, *, takeover: bool
    ) -> Attachment:
        """*former*: what is attached under the same key; it is handed back first."""
        created = not wanted.install.adopted
        async with self._holdings.or_put_back(wanted, turn, created=created, begun=False) as attempt:
            if former is not None:
                if former.truth.state not in ("failed", "held"):
                    attempt.begin()
                    await former.hand_back(turn)
                await self._holdings.end(former)
            takeover = takeover or await self._opening.is_abandoned(wanted)
            wanted, installed = await self._install(wanted, turn, takeover=takeover, attempt=attempt)
            attachment = await self._opening.acquire(wanted, installed, takeover=takeover)
            self._holdings.add(attachment)
            await attachment.attach(turn)
        return attachment

    async def _install(
        self, wanted: Wanted, turn: Turn, *, takeover: bool, attempt: Attempt
    ) -> tuple[Wanted, Installed]:
        """Start again from the beginning where somebody else installs the same at this very moment."""
        try:
            installed = await self._opening.install(wanted, turn, takeover=takeover, begin=attempt.begin)
        except BusyError:
            wanted = await self._opening.read(wanted.project, wanted.workload.key, wanted.images.obtained)
            installed = await self._opening.install(wanted, turn, takeover=takeover, begin=attempt.begin)
        return wanted, installed

    def _row(self, attachment: Attachment, outcome: str, notes: list[str]) -> Json:
        local = attachment.local.sight
        keeps = attachment.wanted.serving.led == "nothing"
        fate = "keeps every connection" if keeps else f"is answered by {local.name}"
        detail = [f"{attachment.wanted.title} {fate}"]
        detail += [str(port) for port in local.ports]
        detail += notes
        warnings = [asdict(caution) for caution in attachment.wanted.cautions]
        row = {"name": attachment.key, "outcome": outcome, "detail": detail, "warnings": warnings}
        return row | ({"silent": list(local.silent)} if local.silent else {})


def _as_well(wanted: Wanted, error: DevclusterError) -> DevclusterError:
    left = isinstance(error, LeftoverError)
    return error if left else FailedError(f"{wanted.title} was put back, too")
