# Starts an SSH server that sees a host of its own: arguments are its folder, its mounts' sizes and sshd. Everything is mounted
# in this process's own mount namespace and goes with it.
set -eu
dir=$1 opt_size=$2 sshd=$3
mount --make-rprivate /
# Copies, not overlays: what lies below an overlay must not change, and this machine goes on living.
mkdir -p "$dir/etc" "$dir/var/lib/dpkg" "$dir/home"
cp -a -n /etc/. "$dir/etc/"
mount --bind /var/lib/dpkg "$dir/var/lib/dpkg"
for folder in etc var home; do
  mount --rbind "$dir/$folder" "/$folder"
done
mount -t tmpfs -o "size=$opt_size,mode=755" tmpfs /opt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/systemd/system
exec "$sshd" -D -e -f "$dir/sshd_config"
