"""Whether this laptop has slept: then nothing that it had open can be trusted.

A connection that was open before the lid was closed looks fine until somebody writes to it and waits: its
address, the NAT's entry or the VPN may be gone, and no packet says so.  The clock that time-outs use stands
still during sleep, and another clock goes on; if the two are further apart than before, the laptop has slept.

Source: clock_gettime(2), CLOCK_BOOTTIME; on macOS clock_gettime(3), CLOCK_UPTIME_RAW
"""

from __future__ import annotations

import time

NAP = 2.0  # seconds; less than that every connection bears


def asleep() -> float:
    """How many seconds this machine has slept since it was started; 0 where it does not tell."""
    if boot := getattr(time, "CLOCK_BOOTTIME", None):
        return time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC)
    if awake := getattr(time, "CLOCK_UPTIME_RAW", None):
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(awake)
    return 0.0
