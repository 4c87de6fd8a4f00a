#!/usr/bin/env bash
# A small target on a SLURM of one node: jobs are collected, one that is cancelled is submitted again, a second
# call does nothing. Minutes; needs what one_node.sh needs.
. "$(dirname "$0")/common.sh"

run "$work/first.log" &
controller=$!
# Not `head`, which may be gone before the second line, and with it the script.
cancelled=$(in_state RUNNING 1 | sed -n 1p)
[ -n "$cancelled" ] || fail "no job was submitted"
scancel "$cancelled"
wait "$controller" || fail "the run did not survive a cancelled job"
[ -s results/density/faces.csv ] || fail "there is no table"
echo "the table is there, though job $cancelled was cancelled"

grep -q "JobId=$cancelled .*JobState=CANCELLED" "$jobs" || fail "job $cancelled ended before it was cancelled"
again=$(wc -l < "$jobs")
echo "$again jobs for the plan's: the cancelled one was submitted again"
[ "$again" -ge 7 ] || fail "the cancelled job was not submitted again"

(run "$work/second.log") || fail "the second call failed"
[ "$(wc -l < "$jobs")" -eq "$again" ] || fail "the second call submitted jobs"
echo "a second call submits nothing"
