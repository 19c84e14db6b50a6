# Installs the packages given as arguments. The work is done by a unit of its own, so that a cut connection neither ends
# nor harms it; whoever comes back follows the one that is under way.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '@skerry %s %s\n' "$1" "$2"; }
unit=skerry-provision-packages.service
dir=/run/skerry-provision

mkdir -p -m 0700 "$dir"
if ! systemctl is-active --quiet "$unit"; then
  rm -f "$dir/exit" "$dir/status"
  [ ! -f "$dir/log" ] || mv "$dir/log" "$dir/log.previous"
  : >"$dir/status"
  cat >"$dir/packages.sh" <<'UNIT'
set -u
cd /run/skerry-provision || exit 1
exec >log 2>&1 </dev/null 3>>status
trap 'printf "%s\n" "$?" >exit.new; mv exit.new exit' EXIT
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
keep='--force-confdef --force-confold'

# A dpkg that was killed is finished first. Status 2: another one is at work now, which may also be why it looks unfinished.
tries=0
while [ -n "$(ls -A /var/lib/dpkg/updates)" ] || [ -n "$(dpkg --audit)" ]; do
  dpkg $keep --configure -a
  [ "$?" = 2 ] || break
  tries=$((tries + 1))
  [ "$tries" -lt 200 ] || break
  printf 'pmstatus:dpkg:0:Waiting for another package manager\n' >&3
  sleep 3
done

install() {
  apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o APT::Status-Fd=3 -o APT::Keep-Downloaded-Packages=false \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install --no-install-recommends "$@"
}
# The lists on the host mostly do; they are fetched anew where packages are unknown or gone from the mirror.
install "$@" && exit 0
printf 'dlstatus:0:0:Fetching package lists\n' >&3
apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 update && install "$@"
UNIT
  systemd-run --quiet --collect --unit="$unit" --property=RuntimeMaxSec=3600 /bin/sh "$dir/packages.sh" "$@"
fi

said=
while systemctl is-active --quiet "$unit"; do
  now=$(tail -n 1 "$dir/status")
  [ "$now" = "$said" ] || say progress "$now"
  said=$now
  sleep 0.3
done

status=$(cat "$dir/exit" 2>/dev/null || printf 1)
[ "$status" != 0 ] || exit 0
tail -n 15 "$dir/log" >&2 || :
for path in /usr /var; do
  free=$(df -Pk "$path" | awk 'NR == 2 { print $4 }')
  if [ "$free" -lt 20480 ]; then
    say full "$path"
    exit 28
  fi
done
exit 1
