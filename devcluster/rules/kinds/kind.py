"""One row of the table of kinds: how to read a workload of that kind, and when its roll-out is over.

Everything here is a value or a pure function of the object as the API server gives it.  Whoever reads,
watches or writes a workload asks the row and knows no kind by name.  The naive way, an ``if`` wherever the
kind matters, names Deployments in ten files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from devcluster.config.model import Order
from devcluster.rules.cluster.marks import Originals

Json = dict[str, Any]
Claims = tuple[str, ...]
"""Names of claims that two of its pods must not write to at once (``rules.volume.claims``)."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A workload and its pods at one moment, and what they are waited for.

    ``wrapped``: whether the new pods are those with an agent.  ``ready``: whether they must be available; an
    application that did not answer before us only has to run.  ``stale``: the conditions at the beginning,
    which an earlier roll-out may have left.
    """

    object: Json = field(repr=False)
    pods: tuple[Json, ...] = field(repr=False)
    container: str
    wrapped: bool
    ready: bool
    stale: tuple[Json, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """Every pod is a new one, and works as asked."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """``what`` is waited for, as a sentence without its full stop.  ``blocked``: a pod that its controller
    will never replace, so that it must be deleted; '' for none."""

    what: str
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Stuck:
    """The roll-out will not finish: ``why``.  ``pod``: whose log says more, '' for none.  ``command``: of
    kubectl, that helps."""

    why: str
    pod: str = ""
    hint: str = ""
    command: str = ""


NO_PODS = "has 0 replicas, so it has no pod to stand in for"
RolloutVerdict = Done | Waiting | Stuck


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a workload can't have an agent at the moment; ``command``: of kubectl, that helps."""

    why: str
    command: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A release that goes.  ``uid``: only this very object."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Change:
    """A release that is written anew, where nobody has changed it since ``version``."""

    name: str
    body: Any = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True)
class Make:
    """A release that is made anew, where there is none of this name yet."""

    name: str
    body: Json = field(repr=False)


HistoryStep = Remove | Change | Make


@dataclass(frozen=True, slots=True)
class History:
    """How a kind keeps its former releases: as objects of ``resource`` (``title`` for people) that it
    controls.

    ``wrapped``: whether there is an agent in one.  ``used``: whether a pod may be of it.  ``current``: the
    number of the workload's own template ('' where its controller has not seen it); ``numbers``: of each
    release, by name, its number and the former ones.  ``clean`` takes the agent out of all of them;
    ``renumber``, once that is done, gives them the numbers that they had.  ``label``: the annotation by which
    the workload shows its newest number, '' for none.
    """

    resource: str
    title: str
    wrapped: Callable[[Json], bool]
    used: Callable[[Json], bool]
    current: Callable[[Json, Collection[Json]], str]
    numbers: Callable[[Collection[Json]], Mapping[str, tuple[str, str]]]
    clean: Callable[[Originals, Collection[Json]], tuple[HistoryStep, ...]]
    renumber: Callable[[Originals, Collection[Json]], tuple[HistoryStep, ...]]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """``name`` as a target says it, ``title`` as Kubernetes does; ``prefix`` and ``plural``: where the API
    has it.

    ``order``: of a handover that the file does not order.  ``replicas``: pods wanted; ``available``: pods
    that answer.  ``beside``: what of it starts a new pod beside the old one, '' where the old one stops
    first.  ``serves_on``: whether the original may serve while its pods are replaced, as at each of its
    releases; not where all of them stop first.  ``gap``: why no pod serves during a roll-out, '' where one
    does.  ``refuse``:  None where it can have an agent.  ``rolling``: fields of its spec that must say
    something else while a roll-out of ours runs: it would not reach every pod, or too late, or start two
    pods on one claim; {} for none.  ``early``: its controller makes a pod's successor before the pod is gone.
    ``lasting``: a pod's successor has its name and its claims.
    ``mixed``: what keeps some of its pods on a former template now, '' for nothing.  ``volumes``: what its
    controller adds to those of the template.  ``common``: every namespace has some, so nothing works without
    the rights to them.
    """

    name: str
    title: str
    plural: str
    order: Callable[[Json, Claims], Order]
    replicas: Callable[[Json], int]
    available: Callable[[Json], int]
    beside: Callable[[Json], str]
    gap: Callable[[Json, Claims], str]
    refuse: Callable[[Json], Refusal | None]
    judge_rollout: Callable[[Sight], RolloutVerdict]
    rolling: Callable[[Json, Claims], Json]
    history: History
    early: bool = False
    lasting: bool = False
    mixed: Callable[[Json], str] = lambda item: ""
    volumes: Callable[[Json], list[Json]] = lambda item: []
    serves_on: Callable[[Json, Claims], bool] = lambda item, claims: True
    prefix: str = "/apis/apps/v1"
    common: bool = False


def spec_replicas(item: Json) -> int:
    """How many pods a kind with ``spec.replicas`` wants."""
    return int(item["spec"].get("replicas", 1))


def available_replicas(item: Json) -> int:
    """How many of them answer."""
    return int((item.get("status") or {}).get("availableReplicas", 0))
