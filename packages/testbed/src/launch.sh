#!/bin/sh
# launch.sh GROUP... -- COMMAND ARGUMENT...
# Joins each control group (a directory), then becomes COMMAND: no moment in which it runs outside of them.
while [ "$1" != -- ]; do
  echo $$ > "$1/cgroup.procs" || exit 125
  shift
done
shift
exec "$@"
