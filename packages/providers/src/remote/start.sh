# Starts the agent, or restarts it where what it was started with is no longer what it should run.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unit=skerry-agent.service
guard=skerry-lease-guard.service
dir=/run/skerry-provision
mkdir -p -m 0700 "$dir"

wanted=$({
  readlink /opt/skerry/current
  cat "/etc/systemd/system/$unit" "/etc/systemd/system/$guard" /opt/skerry/lease-guard.sh /etc/skerry/agent.json /var/lib/skerry/identity.json
} | sha256sum)
if [ "$(cat "$dir/started" 2>/dev/null)" = "$wanted" ] && systemctl is-active --quiet "$unit" &&
  systemctl is-active --quiet "$guard"; then exit 0; fi

systemctl enable --quiet --no-reload "$unit" "$guard"
systemctl daemon-reload
systemctl restart "$guard"
# Its end shows below.
systemctl restart "$unit" || :

# One that ends at once is reported by what it said, not by its absence later.
pid=$(systemctl show --property=MainPID --value "$unit")
looks=0
while [ "$looks" -lt 5 ]; do
  sleep 0.2
  looks=$((looks + 1))
  [ "$pid" = 0 ] || [ "$(systemctl show --property=MainPID --value "$unit")" != "$pid" ] || continue
  journalctl --unit="$unit" --lines=6 --output=cat --no-pager _TRANSPORT=stdout >&2 || :
  exit 1
done
printf '%s\n' "$wanted" >"$dir/started"
