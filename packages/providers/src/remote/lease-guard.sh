# Ends guests whose lease is over, whatever became of the agent. Each file in the folder is named after a guest and holds the
# uptime, in whole seconds, from which on it must not run; the agent puts that off for as long as the server is heard. Uptime
# counts suspended time and is deaf to the wall clock. Arguments, for tests: the folder, and the file that shows it watches.
set -u
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
leases=${1:-/run/skerry/leases}
sign=${2:-/run/skerry/lease-guard}
mkdir -p "$leases"

# The QEMU of this guest and no other: by its program and by the name, made by the server, that libvirt has given it.
is_guest() {
  program=$(readlink "/proc/$1/exe") || return 1
  case ${program##*/} in
    qemu*) tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -q -E "^guest=$2(,|\$)" ;;
    *) return 1 ;;
  esac
}

while :; do
  read -r up _ </proc/uptime
  up=${up%%.*}
  for file in "$leases"/ins_*; do
    id=${file##*/}
    case $id in *[!0-9a-z_]* | ins_) continue ;; esac
    ends=
    read -r ends 2>/dev/null <"$file" || continue
    case $ends in '' | *[!0-9]*) continue ;; esac
    [ "$up" -ge "$ends" ] || continue
    for line in $(grep -l -s -a -F "guest=$id" /proc/[0-9]*/cmdline); do
      pid=${line#/proc/}
      pid=${pid%/cmdline}
      if is_guest "$pid" "$id"; then
        kill -s KILL "$pid" && printf 'the lease of %s is over: killed %s\n' "$id" "$pid"
      fi
    done
  done
  # Last: who reads it knows that the whole round was made.
  printf '%s\n' "$up" >"$sign.new" && mv -f "$sign.new" "$sign"
  sleep 1
done
