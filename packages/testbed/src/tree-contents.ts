/** What the hosts' file systems are made of; a change here gives the trees a new cache key. */

export const operatorUid = 1000;
export const visitorUid = 1001;

/** A bare Debian machine as a provider hands it over: systemd, ssh, sudo, apt. */
export const barePackages: readonly string[] = [
  "ca-certificates",
  "dbus",
  "iproute2",
  "iputils-ping",
  "netbase",
  "openssh-server",
  "procps",
  "sudo",
  "systemd-sysv",
];

/** What a host needs to run guests and encrypted networks. */
export const hypervisorPackages: readonly string[] = [
  "libvirt-clients",
  "libvirt-daemon-system",
  "netcat-openbsd",
  "nftables",
  "openssl",
  "qemu-system-x86",
  "qemu-utils",
  "wireguard-go",
  "wireguard-tools",
];

/** Containers have no durable disk to protect from a power cut, and nobody reads manuals in them. */
export const dpkgOptions: readonly string[] = [
  "force-unsafe-io",
  "path-exclude=/usr/share/doc/*",
  "path-exclude=/usr/share/man/*",
  "path-exclude=/usr/share/locale/*",
  "path-exclude=/usr/share/info/*",
];

/** Units that only cost time or memory in a host without a screen or a disk of its own. */
export const maskedUnits: readonly string[] = [
  "getty@tty1.service",
  "console-getty.service",
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "fstrim.timer",
];

const lookScript = `#!/bin/sh
# On bare metal libvirt owns the control groups; in a container it may not, and guests would not start.
conf=/etc/libvirt/qemu.conf
[ -f "$conf" ] || exit 0
grep -q '^cgroup_controllers' "$conf" || echo 'cgroup_controllers = []' >> "$conf"
`;
const lookHook = `[Service]
ExecStartPre=/usr/local/lib/skerry-testbed/look-like-bare-metal
`;

/** Files of the bare tree, by path; those that begin with #! are executable. */
export function bareFiles(aptProxyUrl: string): Readonly<Record<string, string>> {
  return {
    "/etc/apt/apt.conf.d/90proxy": `Acquire::http::Proxy "${aptProxyUrl}";\nAcquire::Languages "none";\n`,
    "/etc/sudoers.d/operator": "operator ALL=(ALL) NOPASSWD: ALL\n",
    "/etc/ssh/sshd_config.d/testbed.conf":
      "HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\nUseDNS no\n",
    // Whoever is let in must not be told that the system is still booting.
    "/etc/systemd/system/ssh.service.d/after-login-allowed.conf": "[Unit]\nAfter=systemd-user-sessions.service\n",
    "/usr/local/lib/skerry-testbed/look-like-bare-metal": lookScript,
    "/etc/systemd/system/libvirtd.service.d/look-like-bare-metal.conf": lookHook,
    "/etc/systemd/system/virtqemud.service.d/look-like-bare-metal.conf": lookHook,
    "/etc/systemd/networkd.conf.d/testbed.conf":
      "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n",
  };
}
