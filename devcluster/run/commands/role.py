"""``role``: what a teammate needs, as yaml for an administrator to apply.  The cluster is not asked."""

from __future__ import annotations

from pathlib import Path

from devcluster.errors import FailedError
from devcluster.rules.cluster.rights import Subject, render_role
from devcluster.run.commands.project import open_meant
from devcluster.run.request import Request

_TEMPLATE = "role.yaml.j2"


async def role(request: Request, subject: Subject) -> str:
    """Role and RoleBinding in the namespace that the other commands would use."""
    namespace = request.namespace
    if namespace is None:
        async with open_meant(request) as cluster:
            namespace = cluster.namespace
    return render_role((_folder() / _TEMPLATE).read_text(), namespace, subject)


def _folder() -> Path:
    """``templates``: the checkout's, or the copy in an installed package."""
    package = Path(__file__).resolve().parent.parent.parent
    for folder in (package.parent / "templates", package / "_data" / "templates"):
        if (folder / _TEMPLATE).is_file():
            return folder
    raise FailedError("this installation of devcluster lacks its templates", hint="reinstall it")
