"""Live volumes as they are told, and the streams of their engine."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.errors import ConfigurationError
from devcluster.rules.volume.frames import Frames, next_link, render_frame
from devcluster.rules.volume.live import (
    check_live,
    describe,
    find_mount,
    live_mounts,
    parse_left,
    stays_here,
)
from devcluster.rules.volume.tree import Entry
from devcluster.rules.volume.volumes import PodVolume, VolumeKind, VolumePlan

_HELD = {"deleted_on": "pod", "count": 412, "paths": ["a"]}


def _plan(kind: VolumeKind = "claim", mode: str = "sync", **more: Any) -> VolumePlan:
    volume = PodVolume("data", "/data", kind, read_only=more.pop("read_only", False))
    return VolumePlan(volume, mode, **more)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40))), st.integers(1, 9))
def test_frames_come_as_they_were_sent_however_they_are_cut(
    frames: list[tuple[int, bytes]], cut: int
) -> None:
    stream = b"".join(render_frame(channel, body) for channel, body in frames)
    reader = Frames()
    found: list[tuple[int, bytes]] = []
    for at in range(0, len(stream), cut):
        found += reader.feed(stream[at : at + cut])
    assert found == frames


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="4294967295"):
        list(Frames().feed(b"\x00\xff\xff\xff\xff"))


def test_a_connection_has_another_number_than_the_one_before() -> None:
    numbers = [0]
    for _ in range(300):
        numbers.append(next_link(numbers[-1]))
    assert {*numbers[1:]} == set(range(1, 256))
    assert all(one != other for one, other in pairwise(numbers))


@pytest.mark.parametrize(
    ("left", "held", "pending", "text"),
    [
        ([], [], 0, ""),
        ([("a", "changed on both sides")], [], 0, "/data/a (changed on both sides)"),
        ([(it, "x") for it in "abcde"], [], 0, "/data/a (x), /data/b (x), /data/c (x), 2 more"),
        ([], [_HELD], 0, "412 deletions on the pod, held back"),
        ([], [], 3, "3 names there was no time for"),
        ([(".", "the pod can't be reached")], [], 3, "the pod could not be reached"),
    ],
)
def test_what_could_not_be_brought_over(left: Any, held: Any, pending: int, text: str) -> None:
    items = [{"path": path, "why": why} for path, why in left]
    found = parse_left("/data", {"left": items, "held_back": held, "pending": pending})
    assert str(found) == text
    assert bool(found) == bool(text)


def test_status_names_files_as_the_container_sees_them() -> None:
    status = {"files": 2, "pending": 1, "conflicts": [{"path": "a/b", "why": "x"}], "held_back": [_HELD]}
    row = describe("/data", status)
    assert (row["files"], row["bytes"], row["pending"], row["last_sent"]) == (2, 0, 1, None)
    assert row["conflicts"] == [{"path": "/data/a/b", "why": "x"}]
    assert row["held_back"] == [{"deleted_on": "pod", "count": 412, "paths": ["/data/a"]}]
    assert describe("/data", {})["conflicts"] == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data/a", ("/data", "a")),
        ("/data", ("/data", ".")),
        ("/data/", ("/data", ".")),
        ("/data/inner/b", ("/data/inner", "b")),
        ("/data/../data/a", ("/data", "a")),
        ("/database", None),
        ("a", None),
    ],
)
def test_a_path_belongs_to_the_nearest_mount(path: str, found: tuple[str, str] | None) -> None:
    assert find_mount(("/data", "/data/inner"), path) == found


def test_a_data_folder_is_synced_by_force_only() -> None:
    tree = {"pg/PG_VERSION": Entry("pg/PG_VERSION", "f", 0o600, 0, 0, 3, 0)}
    with pytest.raises(ConfigurationError, match=r"data folder of PostgreSQL \(pg/PG_VERSION\)") as error:
        check_live(_plan(), "data", tree, single=False)
    assert "`mode: copy` with `order: stop-first`" in error.value.hint
    check_live(_plan(force=True), "data", tree, single=False)


def test_a_single_file_is_no_live_volume() -> None:
    with pytest.raises(ConfigurationError, match=r"data \(/data\) is a single file"):
        check_live(_plan(), "data", {}, single=True)


def test_the_agent_may_write_where_the_file_says_so_and_the_pod_does() -> None:
    assert live_mounts([_plan()]) == ("/data",)
    assert live_mounts([_plan(read_only=True), _plan(mode="copy"), _plan(mode="off")]) == ()


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (_plan(mode="copy"), True),
        (_plan("emptydir", mode="copy"), True),
        (_plan(mode="copy", read_only=True), False),
        (_plan("configmap", mode="copy"), False),
        (_plan("secret", mode="copy"), False),
        (_plan(), False),
        (_plan(mode="empty"), False),
    ],
)
def test_who_writes_to_a_copy_is_told_where_it_stays(plan: VolumePlan, said: bool) -> None:
    text = stays_here([(plan, "data")])
    expected = "what is written to data stays on this laptop (`mode: sync` sends it to the pod)"
    assert text == (expected if said else "")
