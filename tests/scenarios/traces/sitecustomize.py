"""Python starts with this file where its folder is on PYTHONPATH: what the process leaves is written to
the file that TRACES names, a line of JSON each: the words of each program that it starts, and the path of
each file that it opens to write.

A look at /proc sees what lives long enough, and a look at a folder what is in this folder; this sees all that
Python does.
"""

import json
import os
import sys
from typing import Any

_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")
_WRITES = os.O_WRONLY | os.O_RDWR


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    log = os.environ.get("TRACES")
    if log and event in _STARTS:  # behind the program and its words come the folder and the environment
        _write(log, {"started": [*map(repr, arguments[:2])]})
    elif log and event == "open" and arguments[2] & _WRITES and arguments[0] != log:
        path = arguments[0] if isinstance(arguments[0], str | bytes) else os.devnull  # it is open already
        _write(log, {"written": os.path.abspath(os.fsdecode(path))})


def _write(log: str, noted: dict[str, Any]) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, json.dumps(noted).encode() + b"\n")
    os.close(descriptor)


sys.addaudithook(_note)
