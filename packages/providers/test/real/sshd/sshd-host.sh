# Starts an SSH server that sees a host of its own: arguments are its folder, its mounts' sizes and sshd. Everything is mounted
# in this process's own mount namespace and goes with it.
set -eu
dir=$1 opt_size=$2 sshd=$3
mount --make-rprivate /
for folder in etc var home; do
  mkdir -p "$dir/$folder" "$dir/work-$folder"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$dir/$folder,workdir=$dir/work-$folder" "/$folder"
done
mount -t tmpfs -o "size=$opt_size,mode=755" tmpfs /opt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/systemd/system
# What the test sees and changes from outside.
mkdir -p "$dir/control"
exec "$sshd" -D -e -f "$dir/sshd_config"
