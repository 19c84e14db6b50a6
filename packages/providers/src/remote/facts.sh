# What the host is, asked without root and without changing anything.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '@skerry %s %s\n' "$1" "$2"; }
has() { command -v "$1" >/dev/null 2>&1; }

if [ -r /etc/os-release ]; then
  # In subshells, since the file may set any variable.
  say os-id "$(. /etc/os-release && printf %s "${ID-}")"
  say os-version "$(. /etc/os-release && printf %s "${VERSION_ID-}")"
  say os-name "$(. /etc/os-release && printf %s "${PRETTY_NAME-}")"
fi
say architecture "$(uname -m)"
say kernel "$(uname -r)"
say hostname "$(uname -n)"
say cores "$(nproc)"
say memory-kib "$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)"

for path in /opt /usr /var; do
  folder=$path
  [ -d "$folder" ] || folder=/
  df -Pk "$folder" | {
    read -r _
    read -r _ _ _ free _ mount
    say disk "$path $free $mount"
  }
done

[ ! -c /dev/kvm ] || say kvm-device yes
[ ! -c /dev/net/tun ] || say tun-device yes
say cpu-extension "$(grep -m 1 -o -w -E 'vmx|svm' /proc/cpuinfo | head -n 1)"
if has systemd-detect-virt; then say virtualised-by "$(systemd-detect-virt || :)"; fi

[ ! -d /run/systemd/system ] || say systemd yes
if has apt-get && has dpkg-query && has dpkg-deb; then say apt yes; fi

if [ "$(id -u)" = 0 ]; then
  say root yes
elif ! has sudo; then
  say root no-sudo
elif sudo -n true 2>/dev/null; then
  say root yes
else
  say root refused
fi
