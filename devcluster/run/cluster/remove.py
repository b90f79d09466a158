"""Taking the agent out again, from the Secret alone: no file, any machine.

The order is that of ``plan_remove``.  Each step looks at what is there now, so that it may be run again after
a crash, or after somebody else has done a part of it.  What a teammate changed meanwhile is left alone and
named.  At the end everything is read once more: only what is seen to be gone counts as gone.

A missing right keeps one step from being done, but not those after it: once the template is restored and
rolled out, it is better to do each of the rest than to leave it.  The naive way, to stop at the first
refusal, leaves the Secret with its keys because a number in the history may not be written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from devcluster.edge.kube.agent import release_agent
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.swap import Delete, Patch, Write, swap
from devcluster.errors import ChangedError, LeftoverError, RemainsError
from devcluster.plan.remove import plan_remove
from devcluster.plan.steps import (
    AwaitRollout,
    DeleteAgent,
    DeleteSecret,
    PruneHistory,
    RemoveStep,
    RestoreFields,
    RestoreService,
    RestoreTemplate,
    name_of,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import (
    Originals,
    encode_files,
    orphan,
    parse_originals,
    parse_record,
    render_originals,
    restore_template,
    secret_name,
)
from devcluster.rules.cluster.service_patch import noted_moves, noted_workload, undo_moves
from devcluster.rules.cluster.services import PortMove
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.cluster.undo import Restored
from devcluster.rules.container.pod_times import whole_time
from devcluster.rules.kinds.pods import ends
from devcluster.rules.kinds.rolling import remember, write_fields
from devcluster.rules.kinds.table import kind_of
from devcluster.run.cluster.fields import hand_over, restore_rolling
from devcluster.run.cluster.history import Pruned, drop_releases, prune_history
from devcluster.run.cluster.observe import read_claims
from devcluster.run.cluster.remaining import find_remaining, render_remedy
from devcluster.run.cluster.rollout import RolloutError, await_rollout
from devcluster.run.turn import Turn


@dataclass(frozen=True, slots=True)
class Removal:
    """What was done.  ``kept``: a teammate's changes that were left alone.  ``found``: whether there was
    anything of ours.  ``unserved``: why the original does not serve (yet), '' where it does."""

    found: bool
    kept: tuple[str, ...] = ()
    unserved: str = ""

    @property
    def notes(self) -> list[str]:
        """For who asked for it."""
        return [f"left as it is, because somebody else changed it: {what}" for what in self.kept]


async def remove(cluster: Cluster, ref: WorkloadRef, turn: Turn, key: str = "") -> Removal:
    """Take the agent out; *key*: what the workload is called in the file, '' where no file says it.

    LeftoverError names what remains and the command that finishes it, RemainsError where all else is done,
    ForbiddenError where the template may not even be restored."""
    subject = key or str(ref)
    work = _RemoveWork(cluster, ref, turn, subject)
    await work.read()
    steps = plan_remove(work.originals, ref, noted=work.noted)
    for step in steps:
        with turn.phase(subject, str(step), name_of(step)):
            await work.attempt(step)
    await work.verify()
    return Removal(work.originals is not None, tuple(sorted(set(work.kept))), work.unserved)


class _RemoveWork:
    """The steps for one workload."""

    def __init__(self, cluster: Cluster, ref: WorkloadRef, turn: Turn, subject: str) -> None:
        self._cluster = cluster
        self._ref = ref
        self._space = ref.namespace
        self._turn = turn
        self._subject = subject  # of its progress
        self._uid = ""
        self._epoch = 0
        self._restored: Json | None = None
        self._fields: Json = {}  # of its spec, that the roll-out needs otherwise
        self._secret = secret_name(ref)
        self._refused: list[ForbiddenError] = []
        self._left: list[str] = []  # of ours, for want of a right; seen by nobody who looks for objects
        self.originals: Originals | None = None
        self.noted: tuple[PortMove, ...] = ()
        self.kept: list[str] = []
        self.unserved = ""
        self._again = f"`devcluster down -n {ref.namespace}` finishes it"

    async def read(self) -> None:
        secret = await self._cluster.find("secret", self._secret, self._space)
        live = await self._cluster.find(*self._ref.path)
        self.originals = parse_originals(secret) if secret is not None else None
        self.noted = await self._noted()
        if secret is not None and self.originals is not None:
            self._uid = self.originals.uid
            self._epoch = parse_record(secret).epoch
            own = whole_time({"spec": {}} if live is None else live, self.originals.template["spec"])
            self._turn = self._turn.stretched(own)
            if live is not None and live["metadata"]["uid"] == self._uid:
                claims = await read_claims(self._cluster, live["spec"]["template"], self._space)
                self._fields = kind_of(self._ref).rolling(live, claims)
                rolling = remember(live["spec"], self._fields, self.originals.rolling)
                self.originals = replace(self.originals, rolling=rolling)
            return
        if live is not None:
            self._uid = live["metadata"]["uid"]
            if is_wrapped(live["spec"]["template"]):
                raise orphan(self._ref)

    async def _noted(self) -> tuple[PortMove, ...]:
        """What the Services themselves know: about a workload that was deleted together with its Secret, or
        about a Service that somebody copied from one of ours."""
        services = await self._cluster.list("service", self._space)
        ours = [item for item in services.items if noted_workload(item) == self._ref]
        return tuple(move for item in ours for move in noted_moves(item))

    async def attempt(self, step: RemoveStep) -> None:
        """Like ``apply``, but what is not allowed is noted, unless the steps after it would then do harm:
        Services that lead to nobody, an agent's pods without what they run from."""
        try:
            await self.apply(step)
        except ForbiddenError as error:
            if isinstance(step, RestoreService | RestoreTemplate):
                raise
            # the Secret alone knows what it was
            if isinstance(step, AwaitRollout | RestoreFields | PruneHistory):
                raise LeftoverError(
                    f"the template of {self._ref.full_name} is restored, but the next step failed: "
                    f"{error.message}",
                    hint=f"{error.hint}\nthen {self._again}",
                ) from error
            self._refused.append(error)
        except ChangedError as error:
            raise LeftoverError(
                f"{error.message}, so it could not be restored",
                hint=f"`devcluster down -n {self._space}` tries again",
            ) from error

    async def apply(self, step: RemoveStep) -> None:
        match step:
            case RestoreService():
                await self._restore_service(step)
            case RestoreTemplate():
                await self._restore_template()
            case AwaitRollout():
                await self._await_rollout()
            case RestoreFields():
                assert self.originals is not None
                self.kept += await restore_rolling(self._cluster, self.originals)
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
        kept: tuple[str, ...] = ()

        def lead_back(live: Json | None) -> Write | None:
            nonlocal kept
            operations, kept = undo_moves(live, step.moves) if live is not None else ([], ())
            return Patch(operations, "json-patch") if operations else None

        live = await swap(self._cluster, ("service", step.service, self._space), lead_back)
        self.kept += kept
        await self._hand_over("service", step.service, live)

    async def _restore_template(self) -> None:
        assert self.originals is not None
        await self._remember(self.originals)
        originals, restored = self.originals, Restored({})
        held_back = bool(self._fields and await self._staying_agents())

        def unwrap(live: Json | None) -> Write | None:
            nonlocal restored
            if live is None or live["metadata"]["uid"] != self._uid:
                return None
            template = live["spec"]["template"]
            restored = restore_template(originals, template)
            if restored.template == template and not held_back:
                return None
            body = {"op": "replace", "path": "/spec/template", "value": restored.template}
            return Patch([body, *write_fields(self._fields)], "json-patch")

        live = await swap(self._cluster, self._ref.path, unwrap)
        self.kept += [f"{self._ref} {path}" for path in restored.kept]
        if live is not None and restored.template:
            self._restored = live["spec"]["template"]

    async def _remember(self, originals: Originals) -> None:
        """Somebody may have set a field since `up`; the Secret must know that before we act."""
        if not self._fields:
            return

        def note(live: Json | None) -> Write | None:
            if live is None or parse_originals(live) == originals:
                return None
            return Patch({"data": encode_files({"originals.json": render_originals(originals)})})

        await swap(self._cluster, ("secret", self._secret, self._space), note)

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
                subject=self._subject,
            )
        except RolloutError as error:
            if names := await self._staying_agents():
                raise LeftoverError(
                    f"{error.message}; still with an agent: {', '.join(names)}",
                    hint=f"{error.hint}\nthen `devcluster down -n {self._space}` finishes it".strip(),
                ) from error
            reason = f"{error.message} ({error.said})" if error.said else error.message
            self.unserved = f"{reason}; as soon as it is ready, it serves"

    async def _staying_agents(self) -> list[str]:
        """The pods with our agent that are not ending, also where somebody else restored the template."""
        pods = await self._cluster.list("pod", self._space)
        staying = [pod for pod in pods.items if not ends(pod)]
        return sorted(pod["metadata"]["name"] for pod in staying if self._has_agent(pod))

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
        await self._hand_over(self._ref.kind, self._ref.name, await self._workload())

    def _note(self, pruned: Pruned) -> None:
        self.kept += pruned.kept
        self._left += pruned.left
        self._refused += pruned.refused

    async def _hand_over(self, kind: str, name: str, live: Json | None) -> None:
        known = self.originals.managers if self.originals is not None else {}
        if live is not None:
            await hand_over(self._cluster, (kind, name, self._space), known.get(f"{kind}/{name}", []), live)

    async def _delete_secret(self) -> None:
        """Only in the version that we read: somebody who installs an agent again at this moment needs it."""

        def drop(live: Json | None) -> Write | None:
            if live is None:
                return None
            if (parse_originals(live), parse_record(live).epoch) != (self.originals, self._epoch):
                raise LeftoverError(
                    f"somebody else is putting an agent into {self._ref.full_name}, "
                    f"so secret/{self._secret} stays",
                    hint=f"`devcluster list -n {self._space}` says who; `devcluster down` then tries again",
                )
            return Delete()

        await swap(self._cluster, ("secret", self._secret, self._space), drop)

    async def verify(self) -> None:
        """RemainsError for whatever is still there, or could not be undone."""
        agent = await self._seen_agent()
        seen = await find_remaining(self._cluster, self._ref, self._uid)
        refused = [*self._refused, *seen.refused]
        if left := sorted([*agent, *map(str, seen.found), *self._left]):
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
