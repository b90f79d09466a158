"""Secrets planted in everything that a workload's values come from, and a watch for where they come out.

Each planted value holds one random word and says its origin behind it, so that whatever comes out tells on
itself, on a machine that others use, too.  It is looked for in each coat that it could wear on its way: as it
is, in base64 (a Secret's, the agent's) and in hex.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import docker

Json = dict[str, Any]
_PAUSE = 0.02  # seconds between two looks at /proc
_YOUNG = 50  # looks: at a new process each time, at all of them this often


@dataclass(frozen=True, slots=True)
class Planted:
    """``word``: in each value, followed by its origin."""

    word: str = field(default_factory=lambda: f"planted{secrets.token_hex(8)}")

    def value(self, origin: str) -> str:
        return f"{self.word}-{origin}"

    def find(self, text: str | bytes) -> list[str]:
        """The origins of all that comes out in *text*; a coat hides the origin."""
        raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        plain = re.findall(self.word.encode() + rb"-([a-z]+)", raw)
        found = {origin.decode() for origin in plain}
        if self.word.encode() in raw and not found:
            found.add("?")
        return sorted(found | {name for name, coat in self._coats() if coat in raw})

    def _coats(self) -> Iterator[tuple[str, bytes]]:
        """Base64 is another text for each of three places in a group."""
        word = self.word.encode()
        for before in range(3):
            coat = base64.b64encode(bytes(before) + word)
            yield "base64", coat[-(-before * 8 // 6) : (before + len(word)) * 8 // 6]
        yield "hex", word.hex().encode()


@dataclass(slots=True)
class Watch:
    """What was seen while it was open.  ``lines``: command lines of this machine that a value stood in;
    ``containers``: what Docker says of each container that was made, by its role; ``looks``: at /proc."""

    lines: set[str] = field(default_factory=set)
    containers: list[tuple[str, str]] = field(default_factory=list)
    looks: int = 0

    def roles(self) -> set[str]:
        return {role for role, _ in self.containers}

    def told(self, role: str) -> str:
        return "".join(text for name, text in self.containers if name == role)


@contextmanager
def watching(planted: Planted, project: str) -> Iterator[Watch]:
    """Every command line of this machine, again and again, and every container of *project* as it is made."""
    watch, done = Watch(), threading.Event()
    with closing(docker.from_env()) as client:
        events = client.events(decode=True, filters={"label": f"devcluster.project={project}"})
        threads = [
            threading.Thread(target=_watch_lines, args=(planted, watch, done)),
            threading.Thread(target=_watch_containers, args=(client.api, events, watch)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            done.set()
            events.close()
            for thread in threads:
                thread.join()


def _watch_lines(planted: Planted, watch: Watch, done: threading.Event) -> None:
    """A process becomes another program soon after it began, if at all: the old ones are asked less often,
    or the looking alone would keep a core busy."""
    seen: Counter[str] = Counter()
    while not done.wait(_PAUSE):
        for process in filter(str.isdecimal, os.listdir("/proc")):
            if seen[process] < _YOUNG or watch.looks % _YOUNG == 0:
                with suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
                    line = file.read()
                    watch.lines |= {line.decode(errors="replace")} if planted.find(line) else set()
            seen[process] += 1
        watch.looks += 1


def _watch_containers(api: Any, events: Any, watch: Watch) -> None:
    for event in events:
        if event.get("Type") == "container" and event["Action"] == "create":
            role = event["Actor"]["Attributes"]["devcluster.role"]
            with suppress(docker.errors.NotFound):  # it was quicker
                watch.containers.append((role, json.dumps(api.inspect_container(event["Actor"]["ID"]))))
