"""Putting the agent into a workload, step by step.

Each step can safely be run again: after a crash the same call finishes what is missing, and ``remove`` cleans
up after any number of the steps.  Before the template is touched the Secret holds what was there before, and
the template as the API server will give it back (found by a dry run), since defaults and webhooks change what
we send.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

from devcluster.edge.kube.agent import AgentBinary, publish_agent
from devcluster.edge.kube.answer import StatusError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.swap import Create, Delete, Patch, Write, swap
from devcluster.errors import ChangedError, FailedError
from devcluster.plan.install import InstallPlan
from devcluster.plan.steps import (
    AwaitPods,
    InstallStep,
    PatchService,
    PatchTemplate,
    PublishAgent,
    RestoreFields,
    RestoreService,
    WriteSecret,
    name_of,
)
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.keys import generate_pair
from devcluster.rules.cluster.marks import (
    MANAGED_BY,
    Holder,
    Originals,
    Record,
    encode_files,
    owner_reference,
    parse_originals,
    render_originals,
    render_secret,
    secret_file,
)
from devcluster.rules.cluster.service_patch import apply_moves, undo_moves
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.rolling import write_fields
from devcluster.run.cluster.fields import hand_over, restore_rolling
from devcluster.run.cluster.observe import (
    build_originals,
    lead_originals,
    parse_agent_settings,
    raised_limit,
    was_available,
)
from devcluster.run.cluster.record import find_mark, held
from devcluster.run.cluster.rollout import Written, await_rollout
from devcluster.run.turn import Turn


class BusyError(ChangedError):
    """Somebody else is installing the same agent at this very moment: read, plan and try again."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What the session needs to go on.  ``laptop_key``: PEM; ``agent_public``: an OpenSSH line."""

    ref: WorkloadRef
    uid: str
    container: str
    settings: Json = field(repr=False)  # a probe's headers may hold a password
    laptop_key: str = field(repr=False)
    agent_public: str
    adopted: bool
    notes: tuple[str, ...] = ()


async def install(
    cluster: Cluster,
    plan: InstallPlan,
    binary: AgentBinary,
    turn: Turn,
    *,
    key: str = "",
    holder: Holder | None = None,
    takeover: bool = False,
    begin: Callable[[], None] = lambda: None,
) -> Installed:
    """Apply *plan*; *key*: what the workload is called in the file.  HeldError where that would wrap anew
    what somebody else than *holder* holds.  *begin* is called before the first change: what is raised earlier
    has changed nothing.

    After a failure half-way ``remove`` puts everything back, since the Secret knows how.  After a BusyError
    what is there is somebody else's."""
    subject = key or str(plan.observed.ref)
    work = _InstallWork(cluster, plan, binary, turn, subject)
    if not plan.adopted:
        await work.check_holder(holder, takeover)
        await work.rehearse()
    begin()
    for step in plan.steps:
        with turn.phase(subject, str(step), name_of(step)):
            await work.apply(step)
    return await work.result()


class _InstallWork:
    """The steps of one plan."""

    def __init__(
        self, cluster: Cluster, plan: InstallPlan, binary: AgentBinary, turn: Turn, subject: str
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._seen = plan.observed
        self._ref = plan.observed.ref
        self._space = self._ref.namespace
        self._binary = binary
        seen = plan.observed.originals
        # What the Secret will hold; of an agent that stays only Services are led otherwise.
        self._originals = lead_originals(seen, plan) if plan.adopted and seen is not None else None
        self._written = False  # whether it does
        self._turn = turn
        self._subject = subject  # of its progress
        self._generation = self._seen.object["metadata"].get("generation", 0)
        self._uid = self._seen.object["metadata"]["uid"]
        self._owner = owner_reference(self._seen.object)

    async def apply(self, step: InstallStep) -> None:
        match step:
            case PublishAgent():
                await publish_agent(self._cluster, self._space, self._binary, self._owner)
            case WriteSecret():
                await self._write_secret()
            case PatchTemplate():
                await self._patch_template()
            case AwaitPods():
                await self._await_pods()
            case RestoreFields():
                assert self._originals is not None
                await restore_rolling(self._cluster, self._originals)
            case PatchService():
                await self._patch_service(step.service, lambda live: apply_moves(live, step.moves, self._ref))
            case RestoreService():
                await self._restore_service(step)
            case _:
                assert_never(step)

    async def _write_secret(self) -> None:
        originals = self._originals
        assert originals is not None
        path = ("secret", self._plan.secret, self._space)

        def drop_foreign(live: Json | None) -> Write | None:
            return Delete() if live is not None and self._foreign(live) else None

        def write(live: Json | None) -> Write | None:
            if live is None:
                return Create(self._new_secret(originals))
            if self._seen.originals is None and not self._written:
                raise BusyError(self._elsewhere())
            return Patch({"data": encode_files(self._files(originals))})

        await swap(self._cluster, path, drop_foreign)
        await swap(self._cluster, path, write)
        self._written = True

    def _elsewhere(self) -> str:
        return f"somebody else is putting an agent into {self._ref.full_name}"

    def _foreign(self, secret: Json) -> bool:
        """A Secret of a workload of the same name that was deleted, or one that somebody edited.  FailedError
        where devcluster did not make it."""
        if (secret["metadata"].get("labels") or {}).get(MANAGED_BY) != "devcluster":
            raise FailedError(
                f"secret/{self._plan.secret} in namespace {self._space} was not made by devcluster"
            )
        originals = parse_originals(secret)
        return originals is None or originals.uid != self._uid

    def _new_secret(self, originals: Originals) -> Json:
        return render_secret(
            originals,
            settings=self._plan.settings,
            agent=generate_pair(),
            laptop=generate_pair(),
            owner=self._owner,
            record=Record(),
        )

    def _files(self, originals: Originals) -> dict[str, str]:
        """What changes in a Secret that is ours.  Keys and record stay: running agents already know them."""
        return {
            "agent.json": json.dumps(self._plan.settings),
            "originals.json": render_originals(originals),
        }

    async def check_holder(self, holder: Holder | None, takeover: bool) -> None:
        """A roll-out while somebody holds it would cut their connections."""
        mark = await find_mark(self._cluster, self._ref)
        record = mark.record if mark is not None and mark.uid == self._uid else Record()
        if record.holder is None or takeover or record.holder == holder:
            return
        if is_wrapped(self._seen.object["spec"]["template"]):
            raise held(record)

    async def rehearse(self) -> None:
        """Ask for the wrapped template as the API server would give it back.  If it is forbidden or invalid,
        that shows here, before anything is made."""
        wrapped = self._plan.wrapped
        try:
            wrapped = (await self._send_template(dry_run=True))["spec"]["template"]
        except StatusError as error:
            if error.reason != "BadRequest":
                raise  # else a webhook that knows no dry run, mostly: the defaults are known afterwards
        self._originals = await build_originals(self._cluster, self._plan, wrapped)

    async def _patch_template(self) -> None:
        """What the API server made of it is written down, if it differs from the rehearsal."""
        assert self._originals is not None
        answer = await self._send_template(dry_run=False)
        self._generation = answer["metadata"]["generation"]
        wrapped = answer["spec"]["template"]
        if wrapped != self._originals.wrapped:
            self._originals = replace(self._originals, wrapped=wrapped)
            await self._write_secret()

    async def _send_template(self, *, dry_run: bool) -> Json:
        """With the precondition that nobody has changed the template since we planned; the status
        may change."""
        seen = self._seen.object
        body = [
            {"op": "replace", "path": "/spec/template", "value": self._plan.wrapped},
            {"op": "add", "path": "/spec/revisionHistoryLimit", "value": raised_limit(self._seen)},
            *write_fields(self._plan.rolling),
        ]

        def wrap(live: Json | None) -> Write:
            if live is None or live["metadata"]["uid"] != self._uid:
                raise self._changed()
            if live["spec"]["template"] == seen["spec"]["template"]:
                return Patch(body, "json-patch")
            if is_wrapped(live["spec"]["template"]):
                raise BusyError(self._elsewhere())
            raise self._changed()

        answer = await swap(self._cluster, self._ref.path, wrap, first=seen, dry_run=dry_run)
        assert answer is not None
        return answer

    def _changed(self) -> ChangedError:
        text = f"{self._ref.full_name} was changed by somebody else just now"
        return ChangedError(text, hint="run the command again")

    async def _await_pods(self) -> None:
        adopted, originals = self._plan.adopted, self._originals
        assert originals is not None
        await await_rollout(
            self._cluster,
            self._ref,
            container=self._seen.container,
            wrapped=True,
            ready=was_available(self._seen) and not adopted,
            turn=self._turn,
            subject=self._subject,
            written=Written(
                originals,
                self._generation,
                not adopted,
                self._plan.wish.doubt,
                self._plan.ports,
                self._seen.weak,
            ),
        )

    async def _patch_service(self, service: str, change: Callable[[Json], list[Json]]) -> Json | None:
        """As it is then."""

        def lead(live: Json | None) -> Write | None:
            operations = change(live) if live is not None else []
            return Patch(operations, "json-patch") if operations else None

        return await swap(self._cluster, ("service", service, self._space), lead)

    async def _restore_service(self, step: RestoreService) -> None:
        live = await self._patch_service(step.service, lambda live: undo_moves(live, step.moves)[0])
        seen = self._seen.originals
        if live is not None and seen is not None:
            before = seen.managers.get(f"service/{step.service}", [])
            await hand_over(self._cluster, ("service", step.service, self._space), before, live)

    async def result(self) -> Installed:
        secret = await self._cluster.get("secret", self._plan.secret, self._space)
        return Installed(
            ref=self._ref,
            uid=self._uid,
            container=self._seen.container,
            settings=parse_agent_settings(secret),
            laptop_key=secret_file(secret, "laptop.key"),
            agent_public=secret_file(secret, "agent.pub").strip(),
            adopted=self._plan.adopted,
            notes=self._plan.notes,
        )
