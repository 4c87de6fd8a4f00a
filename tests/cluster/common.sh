# Sourced by the scripts beside it: a SLURM of one node and a clone of the last commit, both gone at the end.
# Sets $work (a new folder, which stays where something fails) and $jobs (a line for each job that has ended).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
jobs="$work/slurm/jobs.txt"

finish() {
  local status=$?
  cd /
  # A run that is still there would wait, even after SIGTERM, for jobs that nobody starts.
  kill -9 $(jobs -p) 2>/dev/null || true
  "$here/one_node.sh" down "$work/slurm"
  [ "$status" != 0 ] || rm -rf "$work"
}
trap finish EXIT

fail() {
  echo "FAILED: $1 (see $work)" >&2
  exit 1
}

# A small target of six jobs under the profile of README; $1: its log, the rest are further arguments.
run() {
  local log=$1
  shift
  exec > "$log" 2>&1
  exec snakemake results/density/faces.csv --workflow-profile workflow/profiles/slurm \
    --configfile config/scales/smoke.yaml --slurm-no-account --slurm-status-command squeue \
    --slurm-init-seconds-before-status-checks 8 --latency-wait 5 --cores 2 "$@"
}

# Numbers of the jobs in a state, once there are at least so many of them.
in_state() {
  local found
  for _ in $(seq 600); do
    found=$(squeue --noheader --states="$1" --format=%i)
    if [ "$(printf '%s' "$found" | grep -c .)" -ge "$2" ]; then
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
