#!/bin/sh
# boot-host.sh COMMAND ARGUMENT...
# Runs a container until it powers off; a reboot inside makes systemd-nspawn exit with 133, and it is started again.
while :; do
  "$@"
  code=$?
  [ "$code" = 133 ] || exit "$code"
done
