"""When a container that ended with 0 is started again, and when it counts as broken.  Pure.

A pod's containers are started again however they end.  Some end by design: a worker after so many jobs, a
server that lets itself be replaced.  Here one that ends with 0 is started again as kubelet would; one that
keeps ending is handed back.

Rules, all of them kubelet's but the first and the last:
- an end with another code than 0 is a failure at once, as is one that is not healthy any more;
- the first time it is started again at once, then after 10 s, each time after twice as long, 300 s at most;
- one that ran for more than ten minutes begins anew;
- three ends in a row, each within 10 s of its start, are a failure.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy, and
k8s.io/kubernetes pkg/kubelet/kuberuntime, ``doBackOff``: a container is not in its pause before it has one.
"""

from __future__ import annotations

from collections.abc import Sequence

_FIRST, _LONGEST = 10.0, 300.0  # seconds
_CALM = 600.0  # seconds; one that ran for longer begins anew
_QUICK, _IN_A_ROW = 10.0, 3
NOT_STARTED = (126, 127)
"""Exit codes of what can't start the command that it was given: an init, a shell, the agent."""


def plan_restart(code: int | None, lives: Sequence[float]) -> float | None:
    """Seconds from the last end to the next start; None: it is a failure.  *code*: with which it ended, None
    where it is not healthy; *lives*: how long it ran each time that it ended with 0, in seconds, the last one
    last."""
    if code != 0:
        return None
    if len(lives) >= _IN_A_ROW and all(life < _QUICK for life in lives[-_IN_A_ROW:]):
        return None
    ends = 0
    for life in lives:
        ends = 1 if life > _CALM else ends + 1
    pause = 0.0
    for _ in range(ends - 1):
        pause = min(max(_FIRST, 2 * pause), _LONGEST)
    return pause
