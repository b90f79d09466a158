"""The journal says what was begun, from any prefix of the file."""

from __future__ import annotations

import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from devcluster.run.workload.journal import Entry, Journal, parse_entries, render_entry, unfinished

ENTRIES = st.lists(
    st.builds(
        Entry,
        st.sampled_from(["begin", "done"]),
        st.text(max_size=5),
        st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2).map(
            lambda d: tuple(sorted(d.items()))
        ),
        st.just("now"),
    ),
    max_size=5,
)


@given(ENTRIES, st.data())
def test_any_prefix_gives_a_prefix(entries: list[Entry], data: st.DataObject) -> None:
    lines = [render_entry(entry).encode() + b"\n" for entry in entries]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    expected = 0
    while expected < len(lines) and sum(map(len, lines[: expected + 1])) <= cut:
        expected += 1
    assert parse_entries(whole[:cut]) == tuple(entries[:expected])


def test_open_steps_survive_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal.jsonl"
    with Journal.open(path) as journal:
        first = journal.begin("one", name="web")
        journal.begin("two", name="web")
        journal.done(first)
    with path.open("ab") as file:
        file.write(b'{"state": "beg')
    with Journal.open(path) as journal:
        assert [entry.step for entry in unfinished(journal.read())] == ["two"]
        journal.begin("three")
        assert [entry.step for entry in unfinished(journal.read())] == ["two", "three"]
        journal.clear()
        assert journal.read() == ()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
