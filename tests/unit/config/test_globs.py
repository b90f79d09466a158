"""Patterns mean on the laptop what they mean in the pod (``tests/edge`` asks the agent's own code)."""

from __future__ import annotations

import pytest

from devcluster.config.text.globs import check_glob, matches


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("cache/**", "cache", False),
        ("cache/**", "cache/a/b", True),
        ("**/*.log", "x.log", True),
        ("**/*.log", "a/b/x.log", True),
        ("*.log", "a/x.log", False),
        ("/wp-config.php", "wp-config.php", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("[a-c]?.txt", "b1.txt", True),
        ("[^a-c]?.txt", "b1.txt", False),
        ("a.b", "axb", False),
        ("[!a].txt", "!.txt", True),
        ("[!a].txt", "b.txt", False),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"[\]x]", "]", True),
        ("[z-a]", "b", False),
        ("?", "\n", True),
    ],
)
def test_globs(glob: str, path: str, expected: bool) -> None:
    assert matches(path, (glob,)) is expected


@pytest.mark.parametrize("glob", ["a[", "[]", "[]a]", "[a-]", "[-a]", "a\\", "[^]", "x/[", "[a\\"])
def test_malformed_ones(glob: str) -> None:
    with pytest.raises(ValueError, match="malformed pattern"):
        check_glob(glob)
