# Starts libvirt and waits until it answers. Newer systems may have its modular daemon instead.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unit=libvirtd
systemctl cat libvirtd.socket >/dev/null 2>&1 || unit=virtqemud
systemctl is-active --quiet "$unit.socket" || systemctl enable --quiet --now "$unit.socket"
tries=0
until timeout 20 virsh --quiet --connect qemu:///system uri >/dev/null 2>/run/skerry-libvirt-error; do
  tries=$((tries + 1))
  if [ "$tries" -ge 3 ]; then
    cat /run/skerry-libvirt-error >&2
    journalctl --unit="$unit.service" --lines=5 --output=cat --no-pager >&2 || :
    rm -f /run/skerry-libvirt-error
    exit 1
  fi
  sleep 1
done
rm -f /run/skerry-libvirt-error
