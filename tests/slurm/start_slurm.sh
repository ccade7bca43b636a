#!/usr/bin/env bash
# Start a private SLURM of one node for the tests: no systemd, no cgroups, no database; as root or as any user.
# Everything (configuration, key, sockets, state, logs, pid files) lies in the folder given.
# usage: start_slurm.sh FOLDER PORT CPUS MEMORY_MB      then source FOLDER/env.sh
set -euo pipefail
folder=$1 port=$2 cpus=$3 memory_mb=$4
node=$(hostname -s)
user=$(id -un)
export PATH=$PATH:/usr/sbin:/sbin
for tool in munged mungekey slurmctld slurmd sinfo scontrol; do
  command -v "$tool" >/dev/null || { echo "missing $tool: apt-get install --no-install-recommends slurm-wlm munge" >&2; exit 2; }
done
mkdir -p "$folder"/{state,spool,log,run,bin}
chmod 755 "$folder"
chmod 700 "$folder/run"

# Its own munge: munged insists on private folders, and on a socket that others can reach.
mkdir -m 755 -p "$folder/munge" "$folder/munge/run"
mkdir -m 700 -p "$folder"/munge/{etc,log,lib}
mungekey -c -k "$folder/munge/etc/munge.key"

# A GPU that is none: slurmd wants a character device whose name ends in a digit; a copy of /dev/null, which only root can make.
gres=
if mknod "$folder/gpu0" c 1 3 2>/dev/null; then
  gres="Gres=gpu:fake:1"
  echo "NodeName=$node Name=gpu Type=fake File=$folder/gpu0 Flags=nvidia_gpu_env" >"$folder/gres.conf"
fi

cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge/run/munge.socket.2
SlurmctldPort=$port
SlurmdPort=$((port + 1))
# The node may claim more CPUs and memory than the machine has.
SlurmdParameters=config_overrides
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
# No systemd, no cgroups: time limits are enforced, memory is only counted.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
# No database; a line for every finished job, which the tests read.
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/finished.txt
MinJobAge=3600
# Fast scheduling, quick death.
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=5
ReturnToService=2
KillWait=5
InactiveLimit=0
Waittime=0
DefMemPerCPU=500
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=$memory_mb $gres State=UNKNOWN
PartitionName=cpu Nodes=$node Default=YES MaxTime=UNLIMITED State=UP
CONF

# Snakemake takes SLURM_CONF from the environment of the srun it calls inside a job: this srun puts it back.
printf '#!/bin/sh\nexec env SLURM_CONF=%s %s "$@"\n' "$folder/slurm.conf" "$(command -v srun)" >"$folder/bin/srun"
chmod 755 "$folder/bin/srun"
cat >"$folder/env.sh" <<CONF
export SLURM_CONF=$folder/slurm.conf
export PATH=$folder/bin:\$PATH
CONF

export SLURM_CONF=$folder/slurm.conf
munged --force --key-file="$folder/munge/etc/munge.key" --socket="$folder/munge/run/munge.socket.2" \
  --pid-file="$folder/munge/run/munged.pid" --log-file="$folder/munge/log/munged.log" --seed-file="$folder/munge/lib/munge.seed"
slurmctld -f "$folder/slurm.conf"
slurmd -f "$folder/slurm.conf" -N "$node"
state=
for _ in $(seq 60); do
  state=$(sinfo -h -p cpu -o %T 2>/dev/null || true)
  [ "$state" = idle ] && exit 0
  sleep 0.5
done
echo "the node is not idle after 30 s, but '$state'" >&2
tail -n 20 "$folder"/log/*.log >&2
exit 1
