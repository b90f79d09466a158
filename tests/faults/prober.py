"""Asks for ever, on fresh connections: ``python prober.py ADDRESS PORT``, a line of JSON a request.

Run in the network namespace of the cluster's node (nsenter), where Services' addresses lead somewhere; so it
imports nothing but the standard library.  ``began``, ``ended``: seconds of the epoch.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time

_PERIOD = 0.1
_WRITING = threading.Lock()
_PATIENCE = 90.0  # what is held in a queue is late, not lost


def ask(address: str, port: int) -> None:
    began, who, error = time.time(), "", ""
    connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        who = json.loads(connection.getresponse().read())["identity"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
        error = type(failure).__name__
    finally:
        connection.close()
    line = json.dumps({"began": began, "ended": time.time(), "who": who, "error": error})
    with _WRITING:
        print(line, flush=True)


def main() -> None:
    address, port = sys.argv[1], int(sys.argv[2])
    while True:
        threading.Thread(target=ask, args=(address, port), daemon=True).start()
        time.sleep(_PERIOD)


if __name__ == "__main__":
    main()
