"""Taking the agent out again, from the Secret alone: no file, any machine.

The order is that of ``plan_remove``; each step looks at what stands there now, so that it may run again
after a crash, and after somebody else did a part of it.  What a teammate changed meanwhile is left and
named.  At the end everything is read once more: only what is seen to be gone counts as gone.

A right that is missing keeps one step from being done, not those after it: once the template is restored
and rolled out, each of the rest is better done than left.  The naive way, to stop at the first refusal,
leaves the Secret with its keys because a number in the history may not be written.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import assert_never

from devcluster.edge.kube.agent import release_agent
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import FIELD_MANAGER, Cluster, Json
from devcluster.errors import ChangedError, LeftoverError, NotFoundError, RemainsError
from devcluster.plan.remove import plan_remove
from devcluster.plan.steps import (
    AwaitRollout,
    DeleteAgent,
    DeleteSecret,
    PruneHistory,
    RemoveStep,
    RestoreService,
    RestoreTemplate,
)
from devcluster.rules.identity import WorkloadRef
from devcluster.rules.marks import (
    Originals,
    orphan,
    parse_originals,
    parse_record,
    restore_template,
    secret_name,
)
from devcluster.rules.services import PortMove, noted_moves, noted_workload, undo_moves
from devcluster.rules.template import is_wrapped
from devcluster.rules.undo import restore_managers
from devcluster.run.turn import Turn
from devcluster.run.workload.history import Pruned, drop_releases, prune_history
from devcluster.run.workload.remaining import find_remaining, render_remedy
from devcluster.run.workload.rollout import RolloutError, await_rollout

_TRIES = 10


@dataclass(frozen=True, slots=True)
class Removal:
    """What was done.  ``kept``: a teammate's changes that were left alone.  ``found``: whether there was
    anything of ours."""

    found: bool
    kept: tuple[str, ...] = ()


async def remove(
    cluster: Cluster,
    ref: WorkloadRef,
    turn: Turn,
) -> Removal:
    """LeftoverError names what remains and the command that finishes it, RemainsError where all else is done.
    ForbiddenError where the template may not even be restored."""
    work = _Work(cluster, ref, turn)
    await work.read()
    steps = plan_remove(work.originals, ref, noted=work.noted)
    for step in steps:
        turn.say(ref.name, str(step))
        await work.attempt(step)
    await work.verify()
    return Removal(work.originals is not None, tuple(sorted(set(work.kept))))


class _Work:
    """The steps for one workload."""

    def __init__(self, cluster: Cluster, ref: WorkloadRef, turn: Turn) -> None:
        self._cluster = cluster
        self._ref = ref
        self._space = ref.namespace
        self._turn = turn
        self._uid = ""
        self._epoch = 0
        self._restored: Json | None = None
        self._secret = secret_name(ref)
        self._refused: list[ForbiddenError] = []
        self._left: list[str] = []  # of ours, for want of a right; seen by nobody who looks for objects
        self.originals: Originals | None = None
        self.noted: tuple[PortMove, ...] = ()
        self.kept: list[str] = []
        self._again = f"`devcluster down -n {ref.namespace}` finishes it"

    async def read(self) -> None:
        secret = await self._cluster.find("secret", self._secret, self._space)
        live = await self._cluster.find(*self._ref.path)
        self.originals = parse_originals(secret) if secret is not None else None
        self.noted = await self._noted()
        if secret is not None and self.originals is not None:
            self._uid = self.originals.uid
            self._epoch = parse_record(secret).epoch
            return
        if live is not None:
            self._uid = live["metadata"]["uid"]
            if is_wrapped(live["spec"]["template"]):
                raise orphan(self._ref)

    async def _noted(self) -> tuple[PortMove, ...]:
        """What the Services themselves know: of a workload that was deleted, and its Secret with it, or of a
        Service that somebody made from one of ours."""
        services = await self._cluster.list("service", self._space)
        ours = [item for item in services.items if noted_workload(item) == self._ref]
        return tuple(move for item in ours for move in noted_moves(item))

    async def attempt(self, step: RemoveStep) -> None:
        """As ``apply``, but what is not allowed is noted, unless the steps after it would do harm
        without it: Services that lead to nobody, an agent's pods without what they run from."""
        try:
            await self.apply(step)
        except ForbiddenError as error:
            if isinstance(step, RestoreService | RestoreTemplate):
                raise
            if isinstance(step, AwaitRollout | PruneHistory):  # the Secret alone knows what it was
                raise LeftoverError(
                    f"the template of {self._ref.place} is restored, and then: {error.message}",
                    hint=f"{error.hint}\nthen {self._again}",
                ) from error
            self._refused.append(error)

    async def apply(self, step: RemoveStep) -> None:
        match step:
            case RestoreService():
                await self._restore_service(step)
            case RestoreTemplate():
                await self._restore_template()
            case AwaitRollout():
                await self._await_rollout()
            case PruneHistory():
                await self._prune()
            case DeleteSecret():
                await self._delete_secret()
            case DeleteAgent():
                if self._uid:
                    await release_agent(self._cluster, self._space, self._uid)
            case _:
                assert_never(step)

    async def _workload(self) -> Json | None:
        """The very workload that we changed; None where it is gone."""
        live = await self._cluster.find(*self._ref.path)
        return live if live is not None and live["metadata"]["uid"] == self._uid else None

    async def _restore_service(self, step: RestoreService) -> None:
        for _ in range(_TRIES):
            live = await self._cluster.find("service", step.service, self._space)
            if live is None:
                return
            operations, kept = undo_moves(live, step.moves)
            try:
                if operations:
                    version = live["metadata"]["resourceVersion"]
                    live = await self._cluster.patch(
                        "service",
                        step.service,
                        self._space,
                        operations,
                        type="json-patch",
                        resource_version=version,
                    )
                await self._restore_managers("service", live)
            except ChangedError:
                continue
            self.kept += kept
            return
        raise self._busy(f"service/{step.service}")

    async def _restore_template(self) -> None:
        assert self.originals is not None
        for _ in range(_TRIES):
            live = await self._workload()
            if live is None:
                return
            template = live["spec"]["template"]
            restored = restore_template(self.originals, template)
            if restored.template == template:
                return
            body = [{"op": "replace", "path": "/spec/template", "value": restored.template}]
            version = live["metadata"]["resourceVersion"]
            try:
                answer = await self._cluster.patch(
                    *self._ref.path, body, type="json-patch", resource_version=version
                )
            except ChangedError:
                continue
            self.kept += [f"{self._ref} {path}" for path in restored.kept]
            self._restored = restored.template
            if answer["spec"]["template"] != restored.template:
                self._restored = answer["spec"]["template"]
            return
        raise self._busy(str(self._ref))

    async def _await_rollout(self) -> None:
        assert self.originals is not None
        live = await self._workload()
        if live is None:
            return
        try:
            await await_rollout(
                self._cluster,
                self._ref,
                container=self.originals.container,
                wrapped=False,
                ready=self.originals.available,
                turn=self._turn,
            )
        except RolloutError as error:
            pods = await self._cluster.list("pod", self._space)
            staying = [pod for pod in pods.items if not pod["metadata"].get("deletionTimestamp")]
            names = [pod["metadata"]["name"] for pod in staying if self._has_agent(pod)]
            if names:
                raise LeftoverError(
                    f"{error.message}; still with an agent: {', '.join(sorted(names))}",
                    hint=f"{error.hint}\nthen `devcluster down -n {self._space}` finishes it".strip(),
                ) from error
            self.kept.append(f"{self._ref} is restored but not available: {error.message}")

    def _has_agent(self, pod: Json) -> bool:
        for volume in pod["spec"].get("volumes") or []:
            if (volume.get("secret") or {}).get("secretName") == self._secret:
                return True
        return False

    async def _prune(self) -> None:
        live = await self._workload()
        if live is None:
            return
        if self.originals is None:
            await drop_releases(self._cluster, self._ref, self._uid)
            return
        self._note(await prune_history(self._cluster, self.originals))
        for _ in range(_TRIES):
            live = await self._workload()
            if live is None:
                return
            try:
                await self._restore_managers(self._ref.kind, live)
            except ChangedError:
                continue
            return
        raise self._busy(str(self._ref))

    def _note(self, pruned: Pruned) -> None:
        self.kept += pruned.kept
        self._left += pruned.left
        self._refused += pruned.refused

    async def _restore_managers(self, kind: str, live: Json) -> None:
        """Who owned a field before us owns it again, for whoever applies on the server's side."""
        metadata = live["metadata"]
        now = metadata.get("managedFields") or []
        known = self.originals.managers if self.originals is not None else {}
        before = known.get(f"{kind}/{metadata['name']}", [])
        if not any(entry.get("manager") == FIELD_MANAGER for entry in now):
            return
        body = [
            {
                "op": "replace",
                "path": "/metadata/managedFields",
                "value": restore_managers(before, now, FIELD_MANAGER),
            }
        ]
        await self._cluster.patch(
            kind,
            metadata["name"],
            self._space,
            body,
            type="json-patch",
            resource_version=metadata["resourceVersion"],
        )

    async def _delete_secret(self) -> None:
        """Only as we read it: somebody who puts an agent in again at this moment needs it."""
        for _ in range(_TRIES):
            found = await self._cluster.find("secret", self._secret, self._space)
            if found is None:
                return
            if (parse_originals(found), parse_record(found).epoch) != (self.originals, self._epoch):
                raise LeftoverError(
                    f"somebody else puts an agent into {self._ref.place} "
                    f"at this moment, so secret/{self._secret} stays",
                    hint=f"`devcluster list -n {self._space}` says who; `devcluster down` then tries again",
                )
            version = found["metadata"]["resourceVersion"]
            with contextlib.suppress(ChangedError, NotFoundError):
                await self._cluster.delete("secret", self._secret, self._space, resource_version=version)
                return
        raise self._busy(f"secret/{self._secret}")

    def _busy(self, what: str) -> LeftoverError:
        return LeftoverError(
            f"{what} in namespace {self._space} keeps changing, so it could not be restored",
            hint=f"`devcluster down -n {self._space}` tries again",
        )

    async def verify(self) -> None:
        """RemainsError for whatever of ours can still be seen, or could not be undone."""
        agent = await self._seen_agent()
        seen = await find_remaining(self._cluster, self._ref, self._uid)
        refused = [*self._refused, *seen.refused]
        if left := sorted([*agent, *seen.found, *self._left]):
            kind = LeftoverError if agent else RemainsError
            words = [f"left over in namespace {self._space}: {', '.join(left)}"]
            words += dict.fromkeys(error.message for error in refused)
            raise kind("; ".join(words), hint=render_remedy(self._space, seen.found, refused))

    async def _seen_agent(self) -> list[str]:
        live = await self._cluster.find(*self._ref.path)
        if self._restored is not None and live is not None and live["spec"]["template"] != self._restored:
            self.kept.append(f"{self._ref}: its template was changed while it was restored")
        wrapped = live is not None and is_wrapped(live["spec"]["template"])
        return [f"the agent in {self._ref}"] if wrapped else []
