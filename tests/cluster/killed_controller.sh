#!/usr/bin/env bash
# Snakemake is killed while its jobs are in the queue of a SLURM of one node. They go on; the same command waits
# for them, takes what they made, and submits the rest. Minutes; needs what one_node.sh needs.
. "$(dirname "$0")/common.sh"

run "$work/first.log" &
controller=$!
# Not `head`, which may be gone before the second line, and with it the script.
orphan=$(in_state RUNNING 1 | sed -n 1p)
[ -n "$orphan" ] || fail "no job was submitted"
kill -9 "$controller"
wait "$controller" 2>/dev/null || true
# A pause, so that it is not over before the next run looks.
scontrol suspend "$orphan" || fail "job $orphan did not outlive the run that submitted it"
echo "job $orphan outlives the run that submitted it"

run "$work/second.log" &
controller=$!
for _ in $(seq 600); do
  grep -sq "jobs of an earlier run still work in this folder" "$work/second.log" && break
  kill -0 "$controller" || fail "the same command did not wait for it"
  sleep 0.2
done
scontrol resume "$orphan"
wait "$controller" || fail "the same command did not go on"
[ -s results/density/faces.csv ] || fail "there is no table"
echo "the same command waited for it, and the table is there"

# The comment of a job names its rule and its wildcards.
twice=$(squeue --noheader --states=all --format=%k | sort | uniq --repeated)
[ -z "$twice" ] || fail "submitted twice: $twice"
if grep -v "JobState=COMPLETED" "$jobs"; then fail "a job did not end well"; fi
echo "$(wc -l < "$jobs") jobs of both runs, and none of them twice"
