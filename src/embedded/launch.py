"""Starts a server or a child process such that it does not outlive the one who started it."""

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends `death_signal` when the parent is gone, even by kill -9."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before the kernel was asked
            os.kill(os.getpid(), death_signal)

    return ask_the_kernel
