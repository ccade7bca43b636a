#!/usr/bin/env bash
# Stop the SLURM that start_slurm.sh started in a folder: its jobs first, then its daemons, by the pid files they wrote.
# usage: stop_slurm.sh FOLDER
set -u
folder=$1
export SLURM_CONF=$folder/slurm.conf
scancel --user "$(id -un)" 2>/dev/null
for file in run/slurmd.pid run/slurmctld.pid munge/run/munged.pid; do
  [ -s "$folder/$file" ] || continue
  pid=$(cat "$folder/$file")
  kill "$pid" 2>/dev/null
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  if kill -0 "$pid" 2>/dev/null; then
    echo "process $pid ($file) did not stop and was killed" >&2
    kill -9 "$pid"
  fi
done
exit 0
