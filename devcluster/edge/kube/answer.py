"""What the API server's refusals mean, in the words of devcluster's errors.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import json
import re
from typing import Any

from devcluster.edge.kube.paths import ApiPath
from devcluster.errors import ChangedError, ClusterError, NotFoundError

ROLE = "`devcluster role` prints the Role that is needed"
_POLICY = "this is not about rights: a policy of the cluster refused it, and its message says why"


class StatusError(ClusterError):
    """Any refusal that has no class of its own.  ``status`` is HTTP's; ``reason`` is the API's own
    (``BadRequest``), or ''."""

    def __init__(self, message: str, *, status: int, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class ForbiddenError(ClusterError):
    """A right is missing; the message names the verb, the resource and the namespace.  ``said``: the server's
    own words, where a policy may have refused a write."""

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said


class UnreachableError(ClusterError):
    """Nothing answers at the API server's address, or the way there is broken."""


def is_passing(error: ClusterError) -> bool:
    """Whether the same request may work a moment later: nothing answers, or the server is busy or just
    starting."""
    return isinstance(error, UnreachableError) or (
        isinstance(error, StatusError) and (error.status == 429 or error.status >= 500)
    )


def refusal(status: int, data: bytes, verb: str, where: ApiPath, server: str) -> ClusterError:
    """The error for an answer of 400 or above to *verb* at *where*."""
    reason = _reason(data)
    plural = where.resource
    space = f" in namespace {where.namespace}" if where.namespace else ""
    match status:
        case 401:
            return ForbiddenError(
                f"{server} does not accept the kubeconfig's credentials: cannot {verb} {plural}{space}",
                hint="log in again, as your cluster's provider requires",
            )
        case 403:
            return ForbiddenError(f"cannot {verb} {plural}{space}", hint=ROLE, said=reason)
        case 404:
            return NotFoundError(f"{where} does not exist")
        case 409:
            return ChangedError(f"cannot {verb} {where}: {reason}")
        case _:
            text = f"cannot {verb} {where}: {reason} (HTTP {status})"
            return StatusError(text, status=status, reason=str(_told(data).get("reason") or ""))


def denied(error: ForbiddenError, verb: str, where: ApiPath) -> StatusError:
    """What *error* means where the right exists: a quota, PodSecurity, a webhook or the like refused."""
    return StatusError(f"cannot {verb} {where}: {error.said}", status=403, hint=_POLICY)


def unreachable(server: str, context: str, error: Exception) -> ClusterError:
    """Nothing answers at *server*; the innermost cause is the helpful one."""
    inner: BaseException = error
    while True:
        deeper = getattr(inner, "reason", None) or inner.__cause__ or inner.__context__
        if not isinstance(deeper, BaseException) or deeper is inner:
            break
        inner = deeper
    text = re.sub(r"^.*?object at 0x[0-9a-f]+>: ", "", _words(inner)) or type(inner).__name__
    return UnreachableError(
        f"the cluster of context {context} at {server} can't be reached: {text}",
        hint=f"is it running, and is the VPN up? `kubectl --context {context} version` asks the same address",
    )


def _words(error: BaseException) -> str:
    """Without the number that Python puts before them."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def strange(server: str, context: str, data: bytes) -> ClusterError:
    """The error for an answer that can't have come from an API server."""
    seen = data[:40].decode("utf-8", "replace").strip().partition("\n")[0] or "nothing"
    return UnreachableError(
        f"{server} (context {context}) is not a Kubernetes API server: it answered {seen!r}",
        hint=f"is it a proxy or a login page? `kubectl --context {context} version` asks the same address",
    )


def _told(data: bytes) -> dict[str, Any]:
    """The Status in the API server's answer; {} where there is none."""
    try:
        answer = json.loads(data)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _reason(data: bytes) -> str:
    told = _told(data)
    if not told:
        return data[:200].decode("utf-8", "replace").strip() or "no reason given"
    return str(told.get("message") or told.get("reason") or "no reason given")
