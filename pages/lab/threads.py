"""Which work may wait for which other."""

import os
import sys
import threading

_NICE = 10  # about a tenth of the share of a thread that does not give way


def give_way() -> None:
    """Let this thread, and those that it starts, have only the time that others leave.

    For work that nobody waits for by the second, so that a moved slider never waits for it. On
    Linux; elsewhere a thread has no priority of its own.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
