#!/usr/bin/env bash
# Jobs ask for less memory than they need, SLURM kills them, and they come back asking for more until they fit.
# Minutes; needs what one_node.sh needs.
. "$(dirname "$0")/common.sh"

# An interpreter with torch needs more: in this clone the estimate is wrong.
sed -i 's/^BASE_MB = 2_000.*/BASE_MB = 600/' workflow/pseudodensity/plan/resources.py
(run "$work/first.log") || fail "the run did not survive a lack of memory"
[ -s results/density/faces.csv ] || fail "there is no table"

# What each job asked for, the jobs of one rule and name one after another.
asked=$(squeue --noheader --states=all --sort=i --format='%k %m %T' | sort --stable --key=1,1)
echo "$asked"
killed=$(echo "$asked" | grep -c -v COMPLETED) || fail "no job was killed"
grep -q "exceeded memory limit" "$work/slurm/log/slurmd.log" || fail "jobs failed, and not for want of memory"
echo "$killed jobs were killed for want of memory; they came back with more, and the table is there"
