# How a run starts and how it is stopped. What is said here holds for real runs, not for dry ones.
from snakemake.shell import shell

from pseudodensity.plan.run_lock import RunLock, RunLockError
from pseudodensity.plan.stopping import stop_jobs_on_interrupt

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
