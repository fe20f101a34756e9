"""A time limit for what a plug-in does, so that one that hangs is named and hangs nothing else."""

from __future__ import annotations

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds that a check may take where nobody says otherwise.
CHECK_S = 300.0
#: How long after its limit native code may still come back to Python before the process is ended.
_GRACE_S = 2.0


class TooLong(BaseException):
    """The block took too long. No Exception, so that a plug-in that catches those does not catch this."""


@contextmanager
def limited(seconds: float, ends_process: bool = False) -> Iterator[None]:
    """Raise TooLong in a block that takes more seconds. Without effect outside of the main thread, and on Windows.

    ends_process: where native code does not come back to be told, print where it is and end with status 1.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(number: int, frame: object) -> None:
        raise TooLong(f"it takes more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if ends_process:
        faulthandler.dump_traceback_later(seconds + _GRACE_S, exit=True, file=2)
    try:
        yield
    finally:
        if ends_process:
            faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
