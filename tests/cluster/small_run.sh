#!/usr/bin/env bash
# A small target on a SLURM of one node, in a clone of the last commit: jobs are collected, one that is
# cancelled is submitted again, a second call does nothing. Minutes; needs what one_node.sh needs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap '"$here/one_node.sh" down "$work/slurm"' EXIT  # the logs stay where it failed

fail() {
  echo "FAILED: $1 (see $work)" >&2
  exit 1
}

run() {
  snakemake results/density/faces.csv --workflow-profile workflow/profiles/slurm \
    --configfile config/scales/smoke.yaml --slurm-no-account --slurm-status-command squeue \
    --slurm-init-seconds-before-status-checks 8 --latency-wait 5 \
    --default-resources mem_mb=1500 runtime=60 slurm_partition=debug
}

# A job of ours that runs now, once there is one.
running_job() {
  for _ in $(seq 300); do
    found=$(squeue --noheader --states=RUNNING --format=%i | head -n 1)
    if [ -n "$found" ]; then
      echo "$found"
      return
    fi
    sleep 0.2
  done
}

exports=$("$here/one_node.sh" up "$work/slurm")
eval "$exports"
git clone --quiet "$here/../.." "$work/clone"
cd "$work/clone"
export PYTHONPATH="$work/clone/workflow"

run > "$work/first.log" 2>&1 &
controller=$!
cancelled=$(running_job)
[ -n "$cancelled" ] || fail "no job was submitted"
scancel "$cancelled"
wait "$controller" || fail "the run did not survive a cancelled job"
[ -s results/density/faces.csv ] || fail "there is no table"
echo "the table is there, though job $cancelled was cancelled"

grep -q "JobId=$cancelled .*JobState=CANCELLED" "$work/slurm/jobs.txt" || fail "job $cancelled ended before it was cancelled"
again=$(wc -l < "$work/slurm/jobs.txt")
echo "$again jobs for the six of the plan: the cancelled one was submitted again"
[ "$again" -ge 7 ] || fail "the cancelled job was not submitted again"

run > "$work/second.log" 2>&1 || fail "the second call failed"
[ "$(wc -l < "$work/slurm/jobs.txt")" -eq "$again" ] || fail "the second call submitted jobs"
echo "a second call submits nothing"
cd /
rm -rf "$work/clone"
