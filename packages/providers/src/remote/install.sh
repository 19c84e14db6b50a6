# Makes a received release the current one. Arguments: the release's digest, the unit's text, the configuration's text,
# the guard's unit and script, then for each file its name, its sha256, the sha256 of what was sent for it and its mode.
set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '@skerry %s %s\n' "$1" "$2"; }
home=/opt/skerry
release=$home/releases/$1
unit=$2
config=$3
guard_unit=$4
guard=$5
shift 5

# Removes the half-made release; what was received stays where only space was lacking.
give_up() {
  free=$(df -Pk /opt | awk 'NR == 2 { print $4 }')
  rm -rf "$staging"
  if [ "$free" -lt 1024 ]; then
    say full /opt
    exit 28
  fi
  rm -rf "$home/incoming"
  say corrupt yes
  exit 1
}

if [ ! -d "$release" ]; then
  mkdir -p "$home/releases" "$home/incoming"
  # Of an installation that was killed.
  find "$home/incoming" -maxdepth 1 -name 'release.*' -mmin +10 -exec rm -rf {} +
  staging=$(mktemp -d "$home/incoming/release.XXXXXX")
  chmod 0755 "$staging"
  while [ $# -ge 4 ]; do
    # Another release on this host may hold the same file.
    known=$(grep -l -s -x "$2  $1" "$home"/releases/*/SHA256SUMS | head -n 1)
    if [ -n "$known" ]; then
      ln "$(dirname "$known")/$1" "$staging/$1" || give_up
    else
      # What was sent is shaped as a Debian archive, for dpkg-deb is the one reader of zstd that each host has.
      dpkg-deb --fsys-tarfile "$home/incoming/$3" >"$staging/$1" || give_up
      chmod "$4" "$staging/$1"
    fi
    printf '%s  %s\n' "$2" "$1" >>"$staging/SHA256SUMS" || give_up
    shift 4
  done
  (cd "$staging" && sha256sum --check --quiet SHA256SUMS >&2) || give_up
  # Not every processor and C library runs it; better known now than when it is the current one.
  "$staging/node" --version >/dev/null || {
    rm -rf "$staging"
    exit 1
  }
  # On the disk before it has its name: a release that has its name is whole, also after a power cut.
  sync "$staging"/* "$staging" || give_up
  # The agent then maps what it uses, read anew: as it was written it would count for 5 MiB more of resident memory.
  dd if="$staging/node" iflag=nocache count=0 status=none
  # Another provisioning may have been faster.
  mv -T "$staging" "$release" 2>/dev/null || [ -d "$release" ] || give_up
  rm -rf "$home"/incoming
fi

# Replaces a file as a whole, and only where it differs.
put() {
  if [ -f "$1" ] && printf '%s' "$3" | cmp -s - "$1"; then return; fi
  (umask 077 && printf '%s' "$3" >"$1.new")
  chmod "$2" "$1.new"
  sync "$1.new"
  mv -T "$1.new" "$1"
}
mkdir -p /etc/skerry
chmod 0700 /etc/skerry
put /etc/skerry/agent.json 0600 "$config"
put /etc/systemd/system/skerry-agent.service 0644 "$unit"
put /opt/skerry/lease-guard.sh 0755 "$guard"
put /etc/systemd/system/skerry-lease-guard.service 0644 "$guard_unit"

previous=$(readlink "$home/current" 2>/dev/null || :)
if [ "$previous" != "releases/${release##*/}" ]; then
  ln -s -f -n "releases/${release##*/}" "$home/current.new"
  mv -T "$home/current.new" "$home/current"
fi
# The release before stays, to go back to.
for old in "$home"/releases/*; do
  case releases/${old##*/} in
    "$(readlink "$home/current")" | "$previous") ;;
    *) rm -rf "$old" ;;
  esac
done
