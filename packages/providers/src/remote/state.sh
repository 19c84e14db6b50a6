# What of Skerry and of the packages given as arguments is on the host already; changes nothing.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '@skerry %s %s\n' "$1" "$2"; }

if [ $# -gt 0 ]; then
  # Unknown packages are not listed and make the exit status 1.
  dpkg-query -W -f '@skerry package ${Package} ${db:Status-Status}\n' -- "$@" 2>/dev/null || :
fi
if [ -f /etc/skerry/agent.json ]; then
  say config "$(head -c 65536 /etc/skerry/agent.json | base64 -w 0)"
fi
if [ -f /var/lib/skerry/identity.json ]; then
  say identity "$(head -c 65536 /var/lib/skerry/identity.json | base64 -w 0)"
fi
if [ -L /opt/skerry/current ]; then say release "$(basename "$(readlink /opt/skerry/current)")"; fi
