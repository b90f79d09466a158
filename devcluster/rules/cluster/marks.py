"""What devcluster leaves in the cluster while it is installed, and how it knows its own again.

Everything that ``down`` needs is in the workload's Secret, because it must work without the file, after
``kill -9`` and from another machine.  Nothing is written as an annotation of the workload: its controller
copies annotations into the history, where they come back with a later ``rollout undo``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from devcluster.errors import LeftoverError
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.keys import KeyPair
from devcluster.rules.cluster.services import PortMove
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.cluster.undo import Restored, restore
from devcluster.rules.kinds.rolling import Rolling
from devcluster.rules.ports.ports import PortKey

Json = dict[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
SELECTOR = f"{MANAGED_BY}=devcluster"
KIND_LABEL, NAME_LABEL = "devcluster/kind", "devcluster/name"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a workload, for people.  ``laptop`` tells two of the same user and host name apart."""

    user: str
    host: str
    project: str
    laptop: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class Record:
    """``record.json``.  ``since``: RFC 3339 in UTC, '' where nobody holds it; then ``last`` is who did."""

    epoch: int = 0
    holder: Holder | None = None
    since: str = ""
    last: Holder | None = None

    def is_of(self, holder: Holder) -> bool:
        """Whether *holder* has it, or was the last who had it."""
        return holder == (self.holder or self.last)


def render_time(seconds: float) -> str:
    """Seconds of the epoch as every ``since`` is written: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Originals:
    """``originals.json``: the original state, and what we made of it.

    ``wrapped``: the template as the API server gave it back.  ``history_limit``: the original
    revisionHistoryLimit, ``raised_limit`` ours.  ``revisions``: of each ReplicaSet, by name, its two
    annotations (revision, revision-history).  ``managers``: metadata.managedFields, by ``kind/name``.
    """

    ref: WorkloadRef
    uid: str
    container: str
    template: Json
    wrapped: Json
    history_limit: int
    raised_limit: int
    revision: str
    revisions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    moves: tuple[PortMove, ...] = ()
    managers: Mapping[str, list[Json]] = field(default_factory=dict)
    available: bool = True  # whether it answered before us; what did not need not afterwards
    rolling: Rolling = field(default_factory=dict)  # what else was set while our roll-outs ran
    former: Json | None = None  # template and wrapped of the wrapping before this one


def restore_template(originals: Originals, live: Json) -> Restored:
    """*live* without us.  After a crash while wrapping anew the former wrapping may still be there; whichever
    explains more of *live* is the one."""
    pairs = [(originals.template, originals.wrapped)]
    if originals.former is not None:
        pairs.append((originals.former["template"], originals.former["wrapped"]))
    if not is_wrapped(live):
        return Restored(live)
    found = [restore(template, wrapped, live) for template, wrapped in pairs]
    return min(found, key=lambda restored: len(restored.kept))


def orphan(ref: WorkloadRef) -> LeftoverError:
    """The error for an agent whose Secret somebody deleted: nothing else knows the original state."""
    return LeftoverError(
        f"{ref.full_name} has an agent, but secret/{secret_name(ref)}, which holds the original state,"
        " is gone",
        hint=f"kubectl rollout undo {ref} -n {ref.namespace}\nthen `devcluster down -n {ref.namespace}`",
    )


def secret_name(ref: WorkloadRef) -> str:
    """No two workloads share a Secret, because a kind has no dash."""
    return f"devcluster-{ref.kind}-{ref.name}"


def chunk_name(digest: str, index: int) -> str:
    return f"devcluster-agent-{digest}-{index:02}"


def owner_reference(item: Json) -> Json:
    """A reference to the workload *item*, so that the garbage collector cleans up after it."""
    metadata = item["metadata"]
    named = {"name": metadata["name"], "uid": metadata["uid"]}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"]} | named


def render_secret(
    originals: Originals, *, settings: Json, agent: KeyPair, laptop: KeyPair, owner: Json, record: Record
) -> Json:
    """The workload's Secret, ready to be created."""
    files = {
        "agent.key": agent.private,
        "agent.pub": agent.public,
        "laptop.key": laptop.private,
        "laptop.pub": laptop.public,
        "agent.json": json.dumps(settings),
        "record.json": render_record(record),
        "originals.json": render_originals(originals),
    }
    labels = {
        MANAGED_BY: "devcluster",
        KIND_LABEL: originals.ref.kind,
        NAME_LABEL: originals.ref.name[:63].rstrip("-."),
    }
    metadata = {
        "name": secret_name(originals.ref),
        "namespace": originals.ref.namespace,
        "labels": labels,
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "type": "Opaque", "data": encode_files(files)}


def encode_files(files: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}


def secret_file(secret: Json, name: str) -> str:
    """One file of a Secret; '' where it is not in there."""
    return base64.b64decode((secret.get("data") or {}).get(name, "")).decode()


def render_record(record: Record) -> str:
    data: Json = {"epoch": record.epoch, "holder": None}
    if record.holder is not None:
        data |= {"holder": asdict(record.holder), "since": record.since}
    elif record.last is not None:
        data["last"] = asdict(record.last)
    return json.dumps(data)


def parse_record(secret: Json) -> Record:
    data = json.loads(secret_file(secret, "record.json") or "{}")
    holder, last = _parse_holder(data.get("holder")), _parse_holder(data.get("last"))
    return Record(data.get("epoch", 0), holder, data.get("since", "") if holder else "", last)


def _parse_holder(data: Json | None) -> Holder | None:
    return Holder(data["user"], data["host"], data["project"], data.get("laptop", "")) if data else None


def render_originals(originals: Originals) -> str:
    """A Service's port is written as its number, because only TCP is led."""
    moves = [asdict(move) | {"port": move.port.number} for move in originals.moves]
    data = asdict(originals)
    return json.dumps(data | data.pop("ref") | {"moves": moves}, sort_keys=True)


def parse_originals(secret: Json) -> Originals | None:
    """None if the Secret lacks them: it is not devcluster's, or somebody edited it."""
    text = secret_file(secret, "originals.json")
    if not text:
        return None
    data = json.loads(text)
    ref = WorkloadRef(data.pop("kind"), secret["metadata"]["namespace"], data.pop("name"))
    data.pop("namespace", None)
    data["rolling"] = {name: (pair[0], pair[1]) for name, pair in data.get("rolling", {}).items()}
    data["revisions"] = {name: (pair[0], pair[1]) for name, pair in data["revisions"].items()}
    data["moves"] = tuple(PortMove(**move | {"port": PortKey(move["port"])}) for move in data["moves"])
    return Originals(ref=ref, **data)
