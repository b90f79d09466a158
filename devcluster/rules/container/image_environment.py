"""Which of the pod's variables come from its image, and give way if another image runs.

A process has variables from its pod's spec, from its image and from the runtime, and nothing tells which is
which.  With another ``image:`` the pod's PATH hides the programs of the new image, and its JAVA_HOME leads
nowhere.  So a variable gives way
- where the spec does not say it (``env``, and the keys of ``envFrom``), and the pod's image sets it to the
  very value that the pod has;
- where the spec does not say it and runtimes make it up themselves, by the image's users: HOME, PATH, TERM;
- where the pod's image can't be read: where the spec does not say it and the new image sets it.

What gives way is not passed on: Docker then shows what the new image has, or nothing.

Source: https://docs.docker.com/reference/cli/docker/container/run/#env
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from devcluster.rules.container.image import ImageFacts

Json = dict[str, Any]
EnvFromSource = tuple[str, str]
"""A kind (configmap or secret) and a name."""

_RUNTIMES = frozenset(("HOME", "PATH", "TERM"))


@dataclass(frozen=True, slots=True)
class ImageEnvironment:
    """``other``: whether the file names another image; ``local``: that image, None where it is not here;
    ``pod``: the pod's, None where it can't be read; ``declared``: names that the pod's spec says."""

    other: bool = False
    local: ImageFacts | None = field(default=None, repr=False)
    pod: ImageFacts | None = field(default=None, repr=False)
    declared: frozenset[str] = frozenset()

    def gives_way(self, name: str, value: str) -> bool:
        """Whether the pod has *name* only because of its image."""
        if not self.other or name in self.declared:
            return False
        if name in _RUNTIMES:
            return True
        if self.pod is not None:
            return (name, value) in self.pod.variables
        return self.local is not None and name in dict(self.local.variables)


SAME_IMAGE = ImageEnvironment()
"""Where the pod's own image runs nothing gives way."""


def sources_of(containers: Iterable[Json]) -> frozenset[EnvFromSource]:
    """The ConfigMaps and Secrets that *containers* take all variables of."""
    return frozenset(source for source, _ in _sources(containers))


def declared_names(containers: Iterable[Json], keys: Mapping[EnvFromSource, Iterable[str]]) -> frozenset[str]:
    """Every name that *containers* say (one container, of the template and of its pods); *keys*: of those of
    their sources that could be read."""
    listed = list(containers)
    names = {one["name"] for container in listed for one in container.get("env") or []}
    names |= {prefix + key for source, prefix in _sources(listed) for key in keys.get(source, ())}
    return frozenset(names)


def _sources(containers: Iterable[Json]) -> Iterable[tuple[EnvFromSource, str]]:
    for container in containers:
        for one in container.get("envFrom") or []:
            for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
                if one.get(key):
                    yield (kind, one[key]["name"]), one.get("prefix") or ""
