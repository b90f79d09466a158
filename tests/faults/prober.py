"""Asks for ever, on fresh connections: ``python prober.py ADDRESS PORT``, two lines of JSON a request: one as
it begins, ``number`` and ``began``, and one with the rest as it ends.

Run in the network namespace of the cluster's node (nsenter), where Services' addresses lead somewhere; so it
imports nothing but the standard library.  ``began``, ``ended``: seconds of the epoch.
"""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import threading
import time

_PERIOD = 0.1
_WRITING = threading.Lock()
_PATIENCE = 90.0  # what is held in a queue is late, not lost


def ask(address: str, port: int, number: int) -> None:
    began, who, error = time.time(), "", ""
    tell({"number": number, "began": began})
    connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        who = json.loads(connection.getresponse().read())["identity"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
        error = type(failure).__name__
    finally:
        connection.close()
    tell({"number": number, "began": began, "ended": time.time(), "who": who, "error": error})


def tell(what: dict[str, object]) -> None:
    with _WRITING:
        print(json.dumps(what), flush=True)


def main() -> None:
    address, port = sys.argv[1], int(sys.argv[2])
    for number in itertools.count():
        threading.Thread(target=ask, args=(address, port, number), daemon=True).start()
        time.sleep(_PERIOD)


if __name__ == "__main__":
    main()
