import { chmod, copyFile, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { writeDisk } from "./disk.ts";
import { cachedImage, debootstrap, textOf, type GuestImage } from "./image-cache.ts";
import type { Progress } from "./testbed.ts";

const packages = [
  ...[
    "busybox-static",
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "dbus",
    "e2fsprogs",
    "fdisk",
    "initramfs-tools",
  ],
  ...[
    "iproute2",
    "iputils-ping",
    "linux-image-cloud-amd64",
    "netbase",
    "openssh-server",
    "procps",
    "sudo",
    "systemd-sysv",
    "udev",
  ],
];
const files = [
  "./debian-image.ts",
  "./disk.ts",
  "./debian/guest-pages",
  "./debian/guest-pages.service",
  "./islet/rc.tick",
];
const rootLabel = "guest-debian";
const kernelCommandLine = `root=LABEL=${rootLabel} rw console=ttyS0 quiet no_timer_check net.ifnames=0 mitigations=off cryptomgr.notests`;

/** Modules that look for mirrors wait minutes where a guest has no way out, and the locale's needs a package of its own. */
const cloudConfig = `datasource_list: [NoCloud, None]
locale: false
cloud_config_modules: [set-passwords, timezone, runcmd]
system_info:
  network:
    renderers: [networkd]
`;

/**
 * Builds a full Debian 12 guest with systemd and real cloud-init (NoCloud only) on the same disk layout as the islet and
 * with the same pages on port 80: for nightly tests, since its boot takes about a minute under software emulation.
 */
export async function buildDebianImage(
  options: { readonly cacheDir: string },
  progress: Progress,
  signal?: AbortSignal,
): Promise<GuestImage> {
  const inputs = await textOf(files.map((name) => new URL(name, import.meta.url)));
  const build = (path: string, scratch: string, report: (detail: string) => void): Promise<void> =>
    buildDebian(path, scratch, report, signal);
  return cachedImage(options.cacheDir, { name: "debian", inputs, build }, progress);
}

async function buildDebian(
  path: string,
  scratch: string,
  report: (detail: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const root = `${scratch}/root`;
  const additions = `${scratch}/additions`;
  await writeAdditions(additions);
  const options = [
    "--variant=minbase",
    `--include=${packages.join(",")}`,
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
  ];
  // mmdebstrap's own sync-in, before the packages are configured: the initrd is generated with these settings.
  await debootstrap(root, [...options, `--essential-hook=sync-in ${additions} /`], report, signal);
  report("disk");
  for (const name of await readdir(`${root}/etc/ssh`))
    if (name.startsWith("ssh_host_")) await rm(`${root}/etc/ssh/${name}`);
  await writeFile(`${root}/etc/machine-id`, "");
  for (const name of ["etc/hostname", "etc/resolv.conf", "etc/apt/apt.conf.d/99mmdebstrap"])
    await rm(`${root}/${name}`, { force: true });
  await mkdir(`${root}/etc/systemd/system/multi-user.target.wants`, { recursive: true });
  await symlink("/dev/null", `${root}/etc/systemd/system/e2scrub_reap.service`);
  for (const [target, unit] of [
    ["multi-user.target", "/etc/systemd/system/guest-pages.service"],
    ["multi-user.target", "/lib/systemd/system/systemd-networkd.service"],
  ] as const) {
    await symlink(unit, `${root}/etc/systemd/system/${target}.wants/${unit.slice(unit.lastIndexOf("/") + 1)}`);
  }
  const boot = await readdir(`${root}/boot`);
  const find = (prefix: string): string => {
    const name = boot.find((one) => one.startsWith(prefix));
    if (name === undefined) throw new Error(`the guest's packages made no /boot/${prefix}*`);
    return `${root}/boot/${name}`;
  };
  await writeFile(
    `${scratch}/syslinux.cfg`,
    `PROMPT 0\nDEFAULT debian\nLABEL debian\n  KERNEL vmlinuz\n  INITRD initrd.img\n  APPEND ${kernelCommandLine}\n`,
  );
  await writeDisk(
    path,
    {
      bootFiles: {
        "syslinux.cfg": `${scratch}/syslinux.cfg`,
        vmlinuz: find("vmlinuz-"),
        "initrd.img": find("initrd.img-"),
      },
      bootSizeMiB: 64,
      rootDirectory: root,
      rootSizeMiB: 1_536,
      rootLabel,
    },
    signal,
  );
}

/** Files laid over the system before its packages are configured. */
async function writeAdditions(directory: string): Promise<void> {
  const put = async (name: string, contents: string): Promise<void> => {
    await mkdir(`${directory}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true, mode: 0o755 });
    await writeFile(`${directory}/${name}`, contents);
  };
  // An initrd of a few modules is made in seconds and loads in a fraction of the time.
  await put("etc/initramfs-tools/conf.d/guest", "MODULES=list\nCOMPRESS=zstd\n");
  await put("usr/share/initramfs-tools/modules.d/guest", "virtio_pci\nvirtio_blk\n");
  await put("etc/modules-load.d/guest.conf", "isofs\nvirtio_net\nvirtio_rng\nbutton\n");
  await put("etc/cloud/cloud.cfg.d/90_guest.cfg", cloudConfig);
  await mkdir(`${directory}/usr/local/sbin`, { recursive: true });
  await mkdir(`${directory}/etc/systemd/system`, { recursive: true });
  for (const [from, to, mode] of [
    ["./debian/guest-pages", "usr/local/sbin/guest-pages", 0o755],
    ["./islet/rc.tick", "usr/local/sbin/guest-tick", 0o755],
    ["./debian/guest-pages.service", "etc/systemd/system/guest-pages.service", 0o644],
  ] as const) {
    await copyFile(fileURLToPath(new URL(from, import.meta.url)), `${directory}/${to}`);
    await chmod(`${directory}/${to}`, mode);
  }
}
