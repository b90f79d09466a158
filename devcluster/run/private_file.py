"""A file that nobody else can read, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_private(file: Path, content: bytes) -> None:
    """In place of what *file* was, with mode 0600; its folder must be there.  OSError."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as open_file:
            open_file.write(content)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
