"""How often a container has run and for how long, and its pause before the next start."""

from __future__ import annotations

import time
from dataclasses import dataclass

from devcluster.rules.container.restarts import plan_restart


@dataclass(frozen=True, slots=True)
class RestartPause:
    """It ended with 0 and is started again.  ``at``: when, by ``time.time``."""

    text: str
    at: float


class Lives:
    """One container's.  ``number``: of its present life, which tells a late word of a former one apart."""

    def __init__(self) -> None:
        self.number = 0
        self._began = 0.0
        self._lengths: list[float] = []

    @property
    def text(self) -> str:
        """How often it was started again; '' for never."""
        often = len(self._lengths)
        again = f"{often} times" if often > 1 else "once"
        return f"the local container was started again {again} after it had ended with 0" if often else ""

    def begin(self) -> None:
        """It runs from now on."""
        self.number += 1
        self._began = time.monotonic()

    def end(self, name: str, code: int | None) -> RestartPause | None:
        """It has ended with *code* just now, or is not healthy (None).  None: it is not started again."""
        if code == 0:
            self._lengths.append(time.monotonic() - self._began)
        pause = plan_restart(code, self._lengths)
        text = f"the local container {name} ended with 0"
        return None if pause is None else RestartPause(text, time.time() + pause)

    def forget(self) -> None:
        """Somebody asked for a new start."""
        self._lengths.clear()
