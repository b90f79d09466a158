"""The numbers of revisions, as if we had never been there."""

from __future__ import annotations

import pytest

from devcluster.rules.kinds.revision_numbers import Numbered, renumber

BEFORE = {"old": ("4", ""), "web": ("5", "1,3")}


@pytest.mark.parametrize(
    ("survivors", "expected"),
    [
        (["old 4", "web 7 1,3,5"], ["old 4", "web 5 1,3"]),  # our way there and back
        (["old 4", "web 5 1,3", "new 8"], ["old 4", "web 5 1,3", "new 6"]),  # a release meanwhile
        (["old 4", "web 5 1,3", "a 7", "b 9"], ["old 4", "web 5 1,3", "a 6", "b 7"]),  # two
        (["web 5 1,3", "old 8 4"], ["web 5 1,3", "old 6 4"]),  # `rollout undo` meanwhile
        (["web 7 1,3,5", "new 8"], ["web 5 1,3", "new 6"]),  # undone to the original, then a release
        (["new 7", "web 8 1,3,5"], ["new 6", "web 7 1,3,5"]),  # a release, then back to the original
    ],
)
def test_renumber(survivors: list[str], expected: list[str]) -> None:
    def parse(text: str) -> Numbered:
        name, revision, *history = text.split()
        return Numbered(name, int(revision), "".join(history))

    assert renumber([parse(text) for text in survivors], current=5, before=BEFORE) == tuple(
        map(parse, expected)
    )
