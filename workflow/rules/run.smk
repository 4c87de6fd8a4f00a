# How a run starts and how it is stopped. What is said here holds for real runs, not for dry ones.
import os
import sys

from snakemake.shell import shell

from pseudodensity.plan.orphans import OrphanError, wait_for_orphans
from pseudodensity.plan.run_lock import RunLock, RunLockError
from pseudodensity.plan.stopping import stop_jobs_on_interrupt

# The engine writes here even for a dry run, and fails with a traceback.
if workflow.is_main_process and not os.access(".", os.W_OK):
    raise WorkflowError(
        f"{os.getcwd()} cannot be written: make it writable, or name another folder by --directory"
    )

# Before the plan is made: a run that works meanwhile makes what this plan does not know of.
run_lock = RunLock("results/.lock")

# Ctrl-C reaches every process of a terminal, and Python answers with a traceback from each. Jobs
# leave it to the main process, which ends them.
shell.prefix("set -euo pipefail; trap '' INT; ")


# After the plan and before the first output is removed. Jobs have none.
onstart:
    try:
        warning = run_lock.hold()
    except RunLockError as error:
        raise WorkflowError(str(error)) from None
    if warning:
        logger.warning(warning)
    stop_jobs_on_interrupt(logger)
    try:
        waited = wait_for_orphans(Path.cwd(), logger.warning, submits=not workflow.local_exec)
    except OrphanError as error:
        raise WorkflowError(str(error)) from None
    if waited:
        # This plan would make again what they made: the same command, which plans anew.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    check_networks()
