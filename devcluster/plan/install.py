"""The steps that put an agent into a workload; pure.

The same function serves a first ``up``, a second one (nothing to do), one after a crash half-way (what is
missing) and one after an edit of the file (the template is wrapped anew, from the original).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devcluster.config.model import Delivery
from devcluster.plan.adoption import fits
from devcluster.plan.fronts import Fronts, keep_fronts, make_fronts
from devcluster.plan.notes import make_notes
from devcluster.plan.serving import Serving, plan_serving
from devcluster.plan.steps import (
    AwaitPods,
    InstallStep,
    PatchService,
    PatchTemplate,
    PublishAgent,
    RestoreFields,
    RestoreService,
    WriteSecret,
)
from devcluster.rules.agent.agent_settings import agent_settings
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Originals, chunk_name, orphan, restore_template, secret_name
from devcluster.rules.cluster.memory import Admitted
from devcluster.rules.cluster.service_patch import noted_moves, noted_workload, unmoved
from devcluster.rules.cluster.services import (
    FrontPort,
    PortMove,
    Route,
    check_listed,
    plan_moves,
    routes,
)
from devcluster.rules.cluster.template import (
    Wrapping,
    check_template,
    find_container,
    is_wrapped,
    original_command,
    wrap_template,
)
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.kinds.kind import Claims
from devcluster.rules.kinds.rolling import is_held
from devcluster.rules.kinds.table import kind_of
from devcluster.rules.ports.ports import PortKey, service_port

Json = dict[str, Any]
_MACHINE = "`down` must work from any machine"
_USUAL = plan_serving("replace", "front", "container")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the file and the laptop want.  ``image`` None: the laptop can't read it.  ``pending``: the image
    is not here yet, so what the installed agent knows of it is used.  Without an agent, and if only the image
    knows the pod's command, such a plan can be shown but not carried out.

    ``serving``: what becomes of the traffic; ``live``: mounts in which the laptop may change files.
    ``digest`` and ``chunks``: the agent's binary, as it is published; ``doubt``: whether it is the right one.
    """

    digest: str
    chunks: int
    image: ImageFacts | None = None
    pending: bool = False
    serving: Serving = _USUAL
    services: tuple[str, ...] | None = None
    port: int = 9900
    fronts: int = 47100
    lease: float = 15.0
    delivery: Delivery = "memfd"
    pin: str | None = None
    doubt: str = ""
    live: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What is in the cluster.  ``services``: all of the namespace; ``others``: labels of pods that are
    not the workload's.  ``originals`` and ``settings``: from the Secret, if there is one.  ``admitted``:
    the memory of its pods, wherever that was said.  ``claims``: that two of its pods must not write to;
    ``policies``: the NetworkPolicies of the namespace; ``weak``: containers that end by themselves as it
    is."""

    ref: WorkloadRef
    container: str
    object: Json = field(repr=False)
    services: tuple[Json, ...] = field(default=(), repr=False)
    others: tuple[Mapping[str, str], ...] = ()
    originals: Originals | None = field(default=None, repr=False)
    settings: Json | None = field(default=None, repr=False)
    admitted: Admitted | None = None
    claims: Claims = ()
    policies: tuple[Json, ...] = field(default=(), repr=False)
    weak: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """The steps, and the values that they write.  ``fronts``: those to which Services are led;
    ``notes``: what the user loses, in words; ``staying``: what the original answers meanwhile, a part of it.

    ``adopted``: the agent that is there will do, whatever its binary.
    """

    observed: Observed
    wish: Wish
    steps: tuple[InstallStep, ...]
    base: Json = field(repr=False)
    wrapped: Json = field(repr=False)
    settings: Json = field(repr=False)
    fronts: tuple[FrontPort, ...]
    moves: tuple[PortMove, ...]
    adopted: bool
    rolling: Json = field(default_factory=dict)  # fields of its spec that the roll-out needs otherwise
    notes: tuple[str, ...] = ()
    staying: tuple[str, ...] = ()

    @property
    def secret(self) -> str:
        return secret_name(self.observed.ref)

    @property
    def ports(self) -> tuple[int, ...]:
        """On which the agent listens, besides the application's own."""
        return (self.wish.port, *(it["front"] for it in self.settings["ports"] if "front" in it))

    @property
    def served(self) -> tuple[PortKey, ...]:
        """The application's TCP ports: declared, or led to by a Service."""
        return tuple(PortKey(it["port"]) for it in self.settings["ports"])

    @property
    def services_before(self) -> tuple[Json, ...]:
        """The namespace's Services as they would be without us."""
        return self.without_us(self.observed.services)

    def without_us(self, services: Sequence[Json]) -> tuple[Json, ...]:
        """*services* as they would be."""
        originals = self.observed.originals
        moves = (*self.moves, *(originals.moves if originals else ()))
        return tuple(unmoved(service, moves) for service in services)

    @property
    def astray(self) -> bool:
        """Whether a Service must be led (back) to where it belongs."""
        return any(isinstance(step, PatchService | RestoreService) for step in self.steps)

    @property
    def chunks(self) -> tuple[str, ...]:
        return _chunks(self.wish)


def plan_install(observed: Observed, wish: Wish) -> InstallPlan:
    """ConfigurationError, with the reason, where this pod can't carry an agent."""
    base = base_template(observed)
    old_moves = observed.originals.moves if observed.originals else ()
    services = [unmoved(service, old_moves) for service in observed.services]
    found = routes(services, base, container=observed.container, others=observed.others, only=wish.services)
    check_listed(wish.services or (), services, found, observed.ref)
    fresh = make_fronts(
        found,
        base,
        container=observed.container,
        agent_port=wish.port,
        first=wish.fronts,
        front=wish.serving.fronts,
    )
    kept = keep_fronts(observed.settings, observed.originals, fresh) if wish.serving.fronts else None
    if kept is not None and (plan := _plan(observed, wish, base, found, services, kept)).adopted:
        return plan
    return _plan(observed, wish, base, found, services, fresh)


def _plan(
    observed: Observed,
    wish: Wish,
    base: Json,
    found: tuple[Route, ...],
    services: Sequence[Json],
    fronts: Fronts,
) -> InstallPlan:
    wrapped, settings = _wrap(observed, wish, base, found, fronts)
    moves = plan_moves(found, fronts.led) if wish.serving.fronts else ()
    adopted = observed.originals is not None and fits(
        observed.object["spec"]["template"],
        observed.settings,
        wrapped,
        settings,
        container=observed.container,
        pending=wish.pending,
    )
    rolling = {} if adopted else kind_of(observed.ref).rolling(observed.object, observed.claims)
    steps = _steps(observed, _chunks(wish), moves, adopted, rolling)
    notes = make_notes(found, services, base, observed.container, wish.serving)
    return InstallPlan(
        observed,
        wish,
        steps,
        base,
        wrapped,
        settings,
        fronts.led,
        moves,
        adopted,
        rolling,
        notes.every,
        notes.staying,
    )


def _wrap(
    observed: Observed, wish: Wish, base: Json, found: Sequence[Route], fronts: Fronts
) -> tuple[Json, Json]:
    """The template with the agent in it, and what the agent is told."""
    container, port, admitted = observed.container, wish.port, observed.admitted
    target = find_container(base, container)
    known = bool(target.get("command")) or not wish.pending
    command = original_command(target, wish.image) if known else ()
    routed = {route.container_port for route in found}
    check_template(base, container=container, agent_port=port, command=command, routed=routed)
    secret = secret_name(observed.ref)
    wrapping = Wrapping(secret, _chunks(wish), command, port, wish.delivery, fronts.agent, wish.pin, admitted)
    settings = agent_settings(
        base,
        container=container,
        image=wish.image,
        fronts=fronts.agent,
        port=port,
        lease=wish.lease,
        admitted=admitted,
        live=wish.live,
    )
    return wrap_template(base, container=container, wrapping=wrapping), settings


def _chunks(wish: Wish) -> tuple[str, ...]:
    return tuple(chunk_name(wish.digest, index) for index in range(wish.chunks))


def base_template(observed: Observed) -> Json:
    """The template without us.  LeftoverError if it has an agent and nobody knows what was there before."""
    live: Json = observed.object["spec"]["template"]
    if observed.originals is None:
        if is_wrapped(live):
            raise orphan(observed.ref)
        return live
    return restore_template(observed.originals, live).template


def _steps(
    observed: Observed, chunks: tuple[str, ...], moves: tuple[PortMove, ...], adopted: bool, rolling: Json
) -> tuple[InstallStep, ...]:
    ref, space = observed.ref, observed.ref.namespace
    live = {service["metadata"]["name"]: service for service in observed.services}
    steps: list[InstallStep] = []
    if not adopted:
        again = observed.originals is not None and is_wrapped(observed.object["spec"]["template"])
        cause = "the installed agent has other settings" if again else f"{ref} has no agent"
        steps.append(PublishAgent(space, chunks, f"{cause}; no image has to be pulled for it"))
        steps.append(WriteSecret(space, secret_name(ref), _MACHINE))
        steps += _stale(observed, moves, "the front that it leads to will be gone")
        steps.append(PatchTemplate(ref, observed.container, cause))
    else:
        if observed.originals is not None and set(moves) != set(observed.originals.moves):
            steps.append(WriteSecret(space, secret_name(ref), _MACHINE))
        stale = _stale(observed, moves, "its connections are to stay with the application")
        steps += [it for it in stale if _leads(live[it.service], it.moves)]
    steps.append(AwaitPods(ref, "traffic is taken over pod by pod"))
    if fields := _set_fields(observed, rolling):
        steps.append(RestoreFields(ref, fields, "it was set for the roll-out alone"))
    for service in sorted({move.service for move in moves}):
        mine = tuple(move for move in moves if move.service == service)
        if _led(live[service], mine):
            continue
        steps.append(PatchService(space, service, mine, _cause(mine)))
    return tuple(steps)


def _cause(moves: Sequence[PortMove]) -> str:
    if any(isinstance(move.original, int) for move in moves):
        return "it names the application's port by its number"
    return "it names the application's port as a Service does that stays with the application"


def _set_fields(observed: Observed, rolling: Json) -> tuple[str, ...]:
    """The fields that this roll-out sets, or that an earlier one left set."""
    known = observed.originals.rolling if observed.originals is not None else {}
    left = known if is_held(observed.object["spec"], known) else {}
    return tuple(sorted({*rolling, *left}))


def _stale(observed: Observed, moves: Collection[PortMove], cause: str) -> list[RestoreService]:
    """Services that lead to fronts, and are no longer to."""
    old = set(observed.originals.moves if observed.originals else ())
    for service in observed.services:
        if noted_workload(service) == observed.ref:
            old |= set(noted_moves(service))
    old -= set(moves)
    names = sorted({move.service for move in old} & {one["metadata"]["name"] for one in observed.services})
    return [
        RestoreService(
            observed.ref.namespace, name, tuple(sorted(_of(old, name), key=lambda move: move.port)), cause
        )
        for name in names
    ]


def _of(moves: Collection[PortMove], service: str) -> list[PortMove]:
    return [move for move in moves if move.service == service]


def _led(service: Json, moves: Sequence[PortMove]) -> bool:
    """Whether all of *moves* are made."""
    return all(_leads(service, (move,)) for move in moves)


def _leads(service: Json, moves: Sequence[PortMove]) -> bool:
    """Whether any is."""
    targets = {service_port(item): item.get("targetPort") for item in service["spec"].get("ports") or []}
    return any(targets.get(move.port) == move.front for move in moves)
