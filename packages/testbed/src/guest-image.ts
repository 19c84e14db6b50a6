import { chmod, copyFile, cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { runCommand } from "./command.ts";
import { writeDisk } from "./disk.ts";
import { findModules, loadOrder } from "./kernel-modules.ts";
import { cachedImage, debootstrap, textOf, type GuestImage } from "./image-cache.ts";
import type { Progress } from "./testbed.ts";

/** Extracted, never installed: their files are picked from. */
const packages = ["busybox-static", "dropbear-bin", "e2fsprogs", "linux-image-cloud-amd64", "tiny-initramfs"];
/** What the initrd needs to find the disk; the rest is loaded from it. */
const initrdModules = ["virtio_blk", "virtio_pci"];
const rootModules = ["virtio_net", "virtio_rng", "isofs", "button", "evdev", "virtio_balloon"];
const programs = ["/usr/sbin/dropbear", "/usr/bin/dropbearkey", "/sbin/resize2fs"];
const islet = new URL("./islet/", import.meta.url);
const isletFiles = [
  "initrd-init",
  "inittab",
  "rc",
  "rc.network",
  "rc.instance",
  "rc.tick",
  "rc.power",
  "rc.stop",
  "udhcpc",
  "cloud-config.awk",
];
/** Code that decides what comes out: a change in it makes a new image. */
const codeFiles = ["./guest-image.ts", "./disk.ts", "./kernel-modules.ts"].map(
  (name) => new URL(name, import.meta.url),
);
const bootSizeMiB = 24;
const rootSizeMiB = 40;

/** Self-tests and probes that take a second and more under software emulation are switched off. */
const kernelCommandLine = [
  ...[
    "console=ttyS0",
    "quiet",
    "panic=-1",
    "no_timer_check",
    "net.ifnames=0",
    "mitigations=off",
    "random.trust_cpu=on",
  ],
  ...["i8042.noaux", "8250.nr_uarts=1", "cryptomgr.notests", "initcall_blacklist=init_kprobe_trace,crypto_kdf108_init"],
].join(" ");

/**
 * Builds "islet", a tiny real guest: Debian's cloud kernel, busybox and dropbear on a disk that any BIOS boots. What it
 * serves and understands of cloud-init is in this package's README. Needs root and the testbed's packages.
 */
export async function buildGuestImage(
  options: { readonly cacheDir: string },
  progress: Progress,
  signal?: AbortSignal,
): Promise<GuestImage> {
  const inputs = await textOf([...isletFiles.map((name) => new URL(name, islet)), ...codeFiles]);
  const build = (path: string, scratch: string, report: (detail: string) => void): Promise<void> =>
    buildIslet(path, scratch, report, signal);
  return cachedImage(options.cacheDir, { name: "islet", inputs, build }, progress);
}

async function buildIslet(
  path: string,
  scratch: string,
  report: (detail: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const from = `${scratch}/packages`;
  const root = `${scratch}/root`;
  const initrd = `${scratch}/initrd`;
  await debootstrap(from, ["--variant=extract", `--include=${packages.join(",")}`], report, signal);
  report("root file system");
  const kernel = await onlyName(`${from}/boot`, "vmlinuz-");
  const modules = await findModules(`${from}/lib/modules/${kernel.slice("vmlinuz-".length)}/kernel`);
  await makeRoot(root, from, modules, signal);
  await makeInitrd(initrd, from, modules);
  report("disk");
  const names = await runCommand(["find", ".", "-mindepth", "1", "-printf", "%P\\n"], { cwd: initrd, signal });
  await runCommand(["cpio", "--create", "--format=newc", "--owner=0:0", "--quiet", `--file=${scratch}/initrd.img`], {
    cwd: initrd,
    input: names.stdout,
    signal,
  });
  await writeFile(
    `${scratch}/syslinux.cfg`,
    `PROMPT 0\nDEFAULT islet\nLABEL islet\n  KERNEL vmlinuz\n  INITRD initrd.img\n  APPEND ${kernelCommandLine}\n`,
  );
  await writeDisk(
    path,
    {
      bootFiles: {
        "syslinux.cfg": `${scratch}/syslinux.cfg`,
        vmlinuz: `${from}/boot/${kernel}`,
        "initrd.img": `${scratch}/initrd.img`,
      },
      bootSizeMiB,
      rootDirectory: root,
      rootSizeMiB,
      rootLabel: "islet",
    },
    signal,
  );
}

async function makeRoot(
  root: string,
  from: string,
  modules: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<void> {
  const directories = [
    "bin",
    "sbin",
    "etc/dropbear",
    "lib/modules",
    "lib64",
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "root/.ssh",
    "var/lib/islet",
    "var/log",
  ];
  for (const name of directories) await mkdir(`${root}/${name}`, { recursive: true, mode: 0o755 });
  for (const name of ["root", "root/.ssh"]) await chmod(`${root}/${name}`, 0o700);
  await copyFile(`${from}/bin/busybox`, `${root}/bin/busybox`);
  const applets = await runCommand([`${from}/bin/busybox`, "--list"], { signal });
  for (const applet of applets.stdout.trim().split("\n"))
    if (applet !== "busybox") await symlink("busybox", `${root}/bin/${applet}`);
  for (const name of ["init", "reboot", "poweroff", "halt"]) await symlink("../bin/busybox", `${root}/sbin/${name}`);
  for (const program of programs) await copyProgram(program, from, root, signal);
  await copyModules(rootModules, `${root}/lib/modules`, modules);
  for (const name of isletFiles.filter((one) => one !== "initrd-init")) {
    await copyFile(fileURLToPath(new URL(name, islet)), `${root}/etc/${name}`);
    await chmod(`${root}/etc/${name}`, /^(rc|rc\.(tick|power|stop)|udhcpc)$/.test(name) ? 0o755 : 0o644);
  }
  await writeFile(`${root}/etc/passwd`, "root:x:0:0:root:/root:/bin/sh\n");
  await writeFile(`${root}/etc/shadow`, "root:*:19000::::::\n", { mode: 0o600 });
  await writeFile(`${root}/etc/group`, "root:x:0:\n");
  await writeFile(`${root}/etc/shells`, "/bin/sh\n");
  await writeFile(`${root}/etc/hosts`, "127.0.0.1 localhost\n");
  await writeFile(`${root}/etc/profile`, 'export PATH=/sbin:/bin HOME=/root\nPS1="$(hostname):\\w# "\ncd\n');
  await symlink("/run/resolv.conf", `${root}/etc/resolv.conf`);
}

async function makeInitrd(initrd: string, from: string, modules: ReadonlyMap<string, string>): Promise<void> {
  for (const name of ["bin", "dev", "proc", "sys", "root", "modules"])
    await mkdir(`${initrd}/${name}`, { recursive: true, mode: 0o755 });
  await copyFile(`${from}/bin/busybox`, `${initrd}/bin/busybox`);
  await copyModules(initrdModules, `${initrd}/modules`, modules);
  await copyFile(fileURLToPath(new URL("initrd-init", islet)), `${initrd}/init`);
  await chmod(`${initrd}/init`, 0o755);
}

/** Copies modules with all they depend on, flat, and writes the order in which they load to `order`. */
async function copyModules(
  names: readonly string[],
  to: string,
  available: ReadonlyMap<string, string>,
): Promise<void> {
  const order: string[] = [];
  for (const path of await loadOrder(names, available)) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    await copyFile(path, `${to}/${name}`);
    order.push(name);
  }
  await writeFile(`${to}/order`, `${order.join("\n")}\n`);
}

/** Copies a program and the shared libraries that its own tree's loader finds for it, at the same paths. */
async function copyProgram(program: string, from: string, root: string, signal?: AbortSignal): Promise<void> {
  const libraryPath = ["lib", "usr/lib"].map((name) => `${from}/${name}/x86_64-linux-gnu`).join(":");
  const loader = "/lib64/ld-linux-x86-64.so.2";
  const listed = await runCommand(
    [`${from}${loader}`, "--inhibit-cache", "--library-path", libraryPath, "--list", `${from}${program}`],
    { signal },
  );
  const libraries = [...listed.stdout.matchAll(/=> (\S+) \(0x/g)].map((found) => found[1] ?? "");
  const target = `${root}/bin/${program.slice(program.lastIndexOf("/") + 1)}`;
  await cp(`${from}${program}`, target, { dereference: true });
  await cp(`${from}${loader}`, `${root}${loader}`, { dereference: true });
  await mkdir(`${root}/lib/x86_64-linux-gnu`, { recursive: true });
  for (const library of libraries)
    await cp(library, `${root}/lib/x86_64-linux-gnu/${library.slice(library.lastIndexOf("/") + 1)}`, {
      dereference: true,
    });
}

async function onlyName(directory: string, prefix: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(prefix));
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw new Error(`${directory} holds ${names.length} files named ${prefix}*, not one`);
  return name;
}
