from pseudodensity.plan.run_lock import RunLock, RunLockError

# Before the plan is made: a run that works meanwhile makes what this plan does not know of.
run_lock = RunLock("results/.lock")


# After the plan and before the first output is removed. Not called by dry runs, nor by jobs.
onstart:
    try:
        warning = run_lock.hold()
    except RunLockError as error:
        raise WorkflowError(str(error)) from None
    if warning:
        logger.warning(warning)
