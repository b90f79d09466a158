"""Which tests a worker takes together: a file's, but each scenario that stands alone by itself.

Scenarios wait for roll-outs most of the time; kept together by file, one worker would be left with a long
file while the others have nothing to do.  Files come in the order of their names, so that the quick tests
of ``unit`` fill the end; but of the scenarios those of a module's own world come first, since each is minutes
in one piece, and what begins last is waited for alone.  (Not before ``edge``, which builds their images.)

Source: https://pytest-xdist.readthedocs.io/en/stable/distribution.html
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling


class ByScenario(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships without types
    """See the module."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return nodeid if _stands_alone(str(self.config.rootpath / file)) else file


def turn(root: Path, nodeid: str) -> int:
    """For a stable sort of what was collected."""
    file = nodeid.split("::", 1)[0]
    if not file.startswith("tests/scenarios/"):
        return 3 if file.startswith("tests/unit/") else 0
    return 2 if _stands_alone(str(root / file)) else 1


@cache
def _stands_alone(file: str) -> bool:
    """Whether each test of *file* makes a world of its own."""
    return "/tests/scenarios/" in file and 'scope="module"' not in Path(file).read_text()
