"""Ctrl-C: the jobs end within seconds, and one line says so."""

import logging
import signal
from types import FrameType

# Snakemake brings it along.
import psutil

__all__ = ["stop_jobs_on_interrupt"]

PATIENCE = 5.0  # seconds that a job has to remove what it has half written
STOPPED = "Stopped. What was finished is kept; the same command goes on from there."


def stop_jobs_on_interrupt(logger: logging.Logger) -> None:
    """From now on SIGINT ends all child processes, and KeyboardInterrupt is raised after that.

    Left as it is where the signal is ignored or handled by someone else.

    Args:
        logger: of the engine. It says one line and then no more, as each job that was ended would be
            a failure with three lines of its own.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        logger.error(STOPPED)
        logger.setLevel(logging.CRITICAL + 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
        children = psutil.Process().children(recursive=True)
        for child in children:
            _send(child, signal.SIGTERM)
        for child in psutil.wait_procs(children, PATIENCE)[1]:
            _send(child, signal.SIGKILL)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass  # it has ended meanwhile
