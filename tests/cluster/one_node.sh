#!/usr/bin/env bash
# A SLURM of one node for tests: own key, own ports, own folder; nothing of the system is changed.
#   one_node.sh up STATE      start it, and print what the shell is to export
#   one_node.sh down STATE    stop it
# Debian's packages: slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins. It runs as root.
set -euo pipefail
state=$(realpath -m "$2")

need_packages() {
  command -v slurmctld slurmd sbatch munged >/dev/null && return
  echo "one_node.sh: SLURM is not installed: apt-get install slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins" >&2
  exit 1
}

write_configuration() {
  mkdir -p "$state"/{ctld,spool,bin,log}
  local host cores memory
  host=$(hostname -s)
  cores=$(nproc)
  memory=$(awk '/MemTotal/ {print int($2 * 0.9 / 1024)}' /proc/meminfo)
  cat > "$state/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$state/munge.socket
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Without cgroups memory is looked at every second, and who takes more than was asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$state/jobs.txt
# Without accounting, ended jobs are known only as long as this.
MinJobAge=3600
ReturnToService=2
DefMemPerCPU=1000
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
  # The plugin removes SLURM_CONF from the environment of a job before its inner srun.
  printf '#!/bin/sh\nSLURM_CONF=%s/slurm.conf exec %s "$@"\n' "$state" "$(command -v srun)" > "$state/bin/srun"
  chmod +x "$state/bin/srun"
}

start() {
  need_packages
  write_configuration
  head -c 1024 /dev/urandom > "$state/munge.key"
  chmod 400 "$state/munge.key"
  munged --force --key-file="$state/munge.key" --socket="$state/munge.socket" --pid-file="$state/munged.pid" \
    --log-file="$state/log/munged.log" --seed-file="$state/munge.seed" >&2
  export SLURM_CONF="$state/slurm.conf"
  slurmctld -c >&2
  slurmd >&2
  for _ in $(seq 60); do
    if sinfo -h -o %T 2>/dev/null | grep -q '^idle'; then
      echo "export SLURM_CONF=$state/slurm.conf PATH=$state/bin:\$PATH"
      return
    fi
    sleep 0.5
  done
  echo "one_node.sh: the node did not become idle; logs in $state/log" >&2
  exit 1
}

stop() {
  export SLURM_CONF="$state/slurm.conf"
  scancel --state=PENDING,RUNNING --user=root 2>/dev/null || true
  for name in slurmd slurmctld munged; do
    [ -f "$state/$name.pid" ] || continue
    pid=$(cat "$state/$name.pid")
    kill "$pid" 2>/dev/null || continue
    # It saves its state: until then the folder cannot be removed.
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
}

case "$1" in
  up) start ;;
  down) stop ;;
  *) echo "one_node.sh up STATE | down STATE" >&2; exit 2 ;;
esac
