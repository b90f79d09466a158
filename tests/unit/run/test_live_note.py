"""What is known of a live volume on the laptop, and what `down` makes of it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from devcluster.run.place import place_of
from devcluster.run.volume.live_note import (
    LiveNote,
    forget_copy,
    load_note,
    memory_path,
    note_path,
    retire_note,
    save_note,
)
from devcluster.run.volume.manifest import FileRewrite, load_manifest
from devcluster.run.volume.removing import Kept, describe_unsent, find_unsent, find_unsent_folders


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "volumes" / "data.json"


def test_a_note_is_read_as_it_was_written_and_by_nobody_else(manifest: Path) -> None:
    note = LiveNote("copy", False, "a is not there", {"x.php": [FileRewrite("x.php", 3, "db", "db.shop")]})
    save_note(note_path(manifest), note)
    assert load_note(note_path(manifest)) == note
    assert stat.S_IMODE(note_path(manifest).stat().st_mode) == 0o600


def test_what_was_never_synced_has_none_and_a_damaged_one_says_that_nobody_knows(manifest: Path) -> None:
    assert load_note(note_path(manifest)) is None
    save_note(note_path(manifest), LiveNote())
    note_path(manifest).write_text("{")
    note = load_note(note_path(manifest))
    assert note is not None
    assert not note.equal


def test_each_copy_is_another_one() -> None:
    assert LiveNote().copy != LiveNote().copy


def test_a_copy_that_is_no_live_volume_any_more_is_known_as_ours_and_nothing_else(manifest: Path) -> None:
    """What is in it may be somebody's work, and it begins anew when it is live again."""
    save_note(note_path(manifest), LiveNote())
    memory_path(note_path(manifest)).mkdir()
    retire_note(manifest, "folder")
    found = load_manifest(manifest)
    assert found is not None
    assert (found.identity, found.pod, found.local) == ("folder", {}, {})
    assert load_note(note_path(manifest)) is None
    assert not memory_path(note_path(manifest)).exists()
    forget_copy(manifest)
    assert list(manifest.parent.iterdir()) == []


def test_a_copy_that_was_never_live_keeps_what_is_known_of_it(manifest: Path) -> None:
    retire_note(manifest, "folder")
    assert load_manifest(manifest) is None


def test_a_folder_with_what_is_not_in_the_pod_is_named(tmp_path: Path) -> None:
    place = place_of("test", "shop", "shop", {"XDG_STATE_HOME": str(tmp_path)})
    for name, note in {
        "a": LiveNote(equal=False, key="web", folder=str(tmp_path)),
        "b": LiveNote(equal=True, key="web", folder=str(tmp_path)),
        "c": LiveNote(equal=False, key="web", folder=str(tmp_path / "gone")),
        "d": LiveNote(equal=False, key="web"),  # no folder of the user's
        "e": LiveNote(equal=False, key="other", folder=str(tmp_path)),
    }.items():
        save_note(place.state / "volumes" / f"{name}.live", note)
    assert len(find_unsent_folders(place)) == 2
    (kept,) = find_unsent_folders(place, ("web",))
    assert kept.unsent
    assert kept.text.startswith(f"kept: folder {tmp_path} may hold what is not in the pod")


def test_what_is_only_here_is_an_error_and_a_private_copy_is_none() -> None:
    kept = [Kept("kept: volume a has 3 changes made here"), describe_unsent("volume b", "", "`rm b`")]
    (error,) = find_unsent(kept)
    assert error.exit_code == 7
    assert error.message == (
        "kept: volume b may hold what is not in the pod (devcluster was ended before it could look); "
        "`devcluster up` and `devcluster down` again bring it over, `rm b` throws it away"
    )
    assert "(/data/x (changed))" in describe_unsent("volume b", "/data/x (changed)", "`rm b`").text
    assert find_unsent(kept[:1]) == []
