"""Taking our own changes out of an object that others may have changed since.

Three values are known: the one before us, the one that we wrote (as the API server gave it back, defaults
filled in), and the one now.  A field that still holds what we wrote gets the original back; a field that we
never changed stays as it is now; a field that we changed *and* somebody else changed after us is theirs: it
stays, and is named.

The naive way, to write the original back, would undo a colleague's release made in between.  Lists are
compared by Kubernetes' own merge keys, since an element may have moved.

Source: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#how-different-types-of-fields-are-merged
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Restored:
    """``template`` without us; ``kept``: paths of what others have changed meanwhile."""

    template: Json
    kept: tuple[str, ...] = ()


def restore(original: Json, ours: Json, live: Json) -> Restored:
    """*live* without what turned *original* into *ours*."""
    kept: list[str] = []
    template = _merge(original, ours, live, "", kept)
    assert isinstance(template, dict)
    return Restored(_sound(copy.deepcopy(template)), tuple(sorted({path.removeprefix(".") for path in kept})))


def _merge(original: Any, ours: Any, live: Any, path: str, kept: list[str]) -> Any:
    if live == ours:
        return original
    if live == original:
        return original
    if ours == original:
        _name_changes(ours, live, path, kept)
        return live
    if isinstance(live, dict) and isinstance(ours, dict):
        return _merge_dicts(original if isinstance(original, dict) else MISSING, ours, live, path, kept)
    if isinstance(live, list) and isinstance(ours, list):
        before = original if isinstance(original, list) else []
        key = _merge_key(path, before, ours, live)
        if key:
            return _merge_lists(original, before, ours, live, path, key, kept)
    kept.append(path)
    return live


def _merge_dicts(original: Any, ours: Json, live: Json, path: str, kept: list[str]) -> Any:
    before: Json = {} if original is MISSING else original
    result = {}
    for name in _ordered(list(before), [*live, *ours]):
        value = _merge(
            before.get(name, MISSING),
            ours.get(name, MISSING),
            live.get(name, MISSING),
            f"{path}.{name}",
            kept,
        )
        if value is not MISSING:
            result[name] = value
    return MISSING if original is MISSING and not result else result


def _merge_lists(
    original: Any, before: list[Any], ours: list[Any], live: list[Any], path: str, key: _Key, kept: list[str]
) -> Any:
    maps = [{key(item): item for item in items} for items in (before, ours, live)]
    result = []
    for name in _ordered(list(maps[0]), [*maps[2], *maps[1]]):
        was, wrote, now = (items.get(name, MISSING) for items in maps)
        if was is MISSING and wrote is not MISSING:
            continue  # an element that we added: it goes, however it looks now
        value = _merge(was, wrote, now, f"{path}[{_words(name)}]", kept)
        if value is not MISSING:
            result.append(value)
    return MISSING if original is MISSING and not result else result


def _name_changes(before: Any, now: Any, path: str, kept: list[str]) -> None:
    key = _merge_key(path, before, now)
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [
            (f"{path}.{name}", before.get(name), now.get(name)) for name in _ordered(list(before), [*now])
        ]
    elif key:
        was, new = {key(item): item for item in before}, {key(item): item for item in now}
        pairs = [
            (f"{path}[{_words(name)}]", was.get(name), new.get(name)) for name in _ordered(list(was), [*new])
        ]
    else:
        kept.append(path)
        return
    for deeper, left, right in pairs:
        if left != right:
            _name_changes(left, right, deeper, kept)


def changed_of_ours(original: Json, ours: Json, live: Json) -> tuple[str, ...]:
    """Paths of what we changed in *original* and that no longer holds what we wrote, sorted."""
    found: list[str] = []
    _compare(original, ours, live, "", found)
    return tuple(sorted({path.removeprefix(".") for path in found}))


def _compare(original: Any, ours: Any, live: Any, path: str, found: list[str]) -> None:
    if ours == original or live == ours:
        return
    maps: list[dict[Any, Any]]
    before = original if isinstance(original, list) else []
    key = _merge_key(path, before, ours, live)
    if isinstance(ours, dict) and isinstance(live, dict):
        maps, form = [original if isinstance(original, dict) else {}, ours, live], ".{}"
    elif key:
        maps, form = [{key(item): item for item in items} for items in (before, ours, live)], "[{}]"
    else:
        found.append(path)
        return
    for name in _ordered(list(maps[0]), [*maps[1]]):
        was, wrote, now = (items.get(name, MISSING) for items in maps)
        word = _words(name) if isinstance(name, tuple) else name
        _compare(was, wrote, now, f"{path}{form.format(word)}", found)


def _starts_the_agent(command: list[str]) -> bool:
    return str(command[0]).startswith("/.devcluster/")


def _sound(template: Json) -> Json:
    """Drop what makes no sense without the agent: if somebody edited a probe or command *of ours*, keeping
    their edit would keep a part of ours."""
    for container in template.get("spec", {}).get("containers") or []:
        command = container.get("command") or []
        if command and _starts_the_agent(command) and "--" in command:
            container["command"] = command[command.index("--") + 1 :]
        for name in ("readinessProbe", "livenessProbe", "startupProbe"):
            if name in container and not _HANDLERS & set(container[name]):
                del container[name]
    return template


_HANDLERS = {"exec", "grpc", "httpGet", "tcpSocket"}


def _words(name: tuple[Any, ...]) -> str:
    return "/".join(str(part) for part in name)


def _ordered(first: list[Any], more: list[Any]) -> list[Any]:
    return list(dict.fromkeys([*first, *more]))


_Key = Callable[[Any], tuple[Any, ...]]


def _by(*names: str) -> _Key:
    return lambda item: tuple(item.get(name) for name in names)


def _by_port(item: Json) -> tuple[Any, ...]:
    return (item.get("containerPort"), item.get("protocol") or "TCP")


def _by_name_too(item: Json) -> tuple[Any, ...]:
    """For a port that has several names."""
    return (*_by_port(item), item.get("name"))


_KEYS: dict[str, tuple[_Key, ...]] = {
    "containers": (_by("name"),),
    "initContainers": (_by("name"),),
    "volumes": (_by("name"),),
    "env": (_by("name"),),
    "volumeMounts": (_by("mountPath"),),
    "volumeDevices": (_by("devicePath"),),
    "imagePullSecrets": (_by("name"),),
    "ports": (_by_port, _by_name_too),
}


def _merge_key(path: str, *lists: Any) -> _Key | None:
    """The key that tells the elements of each of *lists* apart; None if there is none, or if one is not a
    list."""
    if not all(isinstance(items, list) for items in lists):
        return None
    keys = _KEYS.get(path.rsplit(".", 1)[-1], ())
    return next((key for key in keys if all(_unique(items, key) for items in lists)), None)


def _unique(items: list[Any], key: _Key) -> bool:
    if not all(isinstance(item, dict) for item in items):
        return False
    return len({key(item) for item in items}) == len(items)


def restore_managers(original: list[Json], live: list[Json], manager: str) -> list[Json]:
    """``metadata.managedFields`` without *manager*; who owned a field before us owns it again.

    An entry that its manager has written anew meanwhile (another time) is left as it is now.
    """
    before = {_manager(entry): entry for entry in original}
    result = []
    for entry in live:
        old = before.pop(_manager(entry), None)
        if entry.get("manager") == manager:
            result += [old] if old is not None else []
        elif old is not None and old.get("time") == entry.get("time"):
            result.append(old)
        else:
            result.append(entry)
    return result + list(before.values())


def _manager(entry: Json) -> tuple[Any, ...]:
    return tuple(entry.get(key) for key in ("manager", "operation", "apiVersion", "subresource"))
