# How much of a release is on the host. Arguments: the release's digest, then for each file its name, its sha256 and the
# sha256 of what is sent for it.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '@skerry %s %s\n' "$1" "$2"; }
releases=/opt/skerry/releases

if [ -d "$releases/$1" ]; then
  say installed yes
  exit 0
fi
shift
while [ $# -ge 3 ]; do
  if grep -q -s -x "$2  $1" "$releases"/*/SHA256SUMS; then
    say have "$1"
  elif [ -f "/opt/skerry/incoming/$3" ]; then
    say offset "$1 $(stat -c %s "/opt/skerry/incoming/$3")"
  fi
  shift 3
done
