"""Who we are to the others, and whether somebody whom a record names is still there.

The record is a note; the lease is the truth.  A laptop that was shut down for good leaves its name in the
record, and agents that serve the original again: nobody needs its permission.  The agents are asked, since
only they know who has spoken to them.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import os
import socket
from contextlib import suppress

from devcluster.edge.agent.ssh import AgentLink, Keys, open_agent
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.edge.kube.workload import WorkloadObject, agent_pods
from devcluster.edge.lane.lanes import AgentAddress
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError
from devcluster.rules.agent.agent_state import AgentState, parse_state
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.marks import Holder, parse_originals, parse_record, secret_file, secret_name
from devcluster.run.place import Place
from devcluster.run.site import read_secret

_OPEN = 5.0  # seconds for an agent to answer
_LOOK = 0.5  # seconds between two looks at a lease
_BEATS = 0.5  # of a lease; a laptop that is there renews it five times as often as it must


def own_holder(place: Place) -> Holder:
    """This laptop, for this project.  Two with the same user and host name differ by their state folder."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = str(os.getuid())
    mark = hashlib.sha256(b"laptop" + read_secret(place)).hexdigest()[:12]
    return Holder(user=user, host=socket.gethostname(), project=place.name, laptop=mark)


async def still_held(cluster: Cluster, ref: WorkloadRef, *, beats: bool = False) -> bool:
    """Whether an agent has a holder whose lease is running; with *beats* only one that goes on renewing it
    (which takes up to half a lease to see).  Also True where no agent can be asked."""
    found = await cluster.find("secret", secret_name(ref), ref.namespace)
    originals = parse_originals(found) if found is not None else None
    if found is None or originals is None or parse_record(found).holder is None:
        return False
    live = await cluster.find(*ref.path)
    if live is None:
        return False
    workload = WorkloadObject(ref, originals.uid, originals.container, live)
    pods = await agent_pods(cluster, workload)
    pods = tuple(pod for pod in pods if pod.phase == "Running" and not pod.ending)
    seen = await asyncio.gather(*(_ask(cluster, found, ref.namespace, pod.name, beats) for pod in pods))
    return True in seen or (bool(seen) and False not in seen)


async def _ask(cluster: Cluster, secret: Json, namespace: str, pod: str, beats: bool) -> bool | None:
    """Whether this agent is held; None where it does not answer."""
    settings = json.loads(secret_file(secret, "agent.json"))
    keys = Keys(secret_file(secret, "laptop.key").encode(), secret_file(secret, "agent.pub").strip())
    address = AgentAddress(namespace, pod, settings["port"])
    with suppress(DevclusterError, RefusedError, OSError, TimeoutError):
        async with open_agent(Ways(), cluster.upgrade_target, address, keys, timeout=_OPEN) as link:
            state = parse_state(await link.call("state", timeout=_OPEN))
            if not state.holder or not beats:
                return bool(state.holder)
            return await _renews(link, state, settings["lease_ms"])
    return None


async def _renews(link: AgentLink, state: AgentState, lease: int) -> bool:
    """Whether the lease is renewed before half of it is over."""
    for _ in range(int(lease / 1000 * _BEATS / _LOOK) + 1):
        await asyncio.sleep(_LOOK)
        now = parse_state(await link.call("state", timeout=_OPEN))
        if not now.holder:
            return False
        if now.lease_ms > state.lease_ms:
            return True
        state = now
    return False
