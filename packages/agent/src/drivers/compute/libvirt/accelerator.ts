import { existsSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { Type, type Static } from "typebox";
import { parserOf, SkerryError } from "@skerry/model";
import { raceAccelerators, type Accelerator } from "./accelerator-race.ts";

const qemuPath = "/usr/bin/qemu-system-x86_64";

/** How long the small program may take; emulated it takes a third of a second on a slow machine that is idle. */
const bootMs = 15_000;

/** What the program writes to QEMU's exit port; QEMU then exits with twice that and one. */
const answer = 0x2a;
const exitPort = 0xf4;

/** A boot sector: mov al, answer; out exitPort, al; hlt; jmp $-1. */
const bootSector = Buffer.alloc(512);
bootSector.set([0xb0, answer, 0xe6, exitPort, 0xf4, 0xeb, 0xfd]);
bootSector.set([0x55, 0xaa], 510);

const Remembered = Type.Object({
  of: Type.String(),
  accelerator: Type.Union([Type.Literal("kvm"), Type.Literal("tcg")]),
  reason: Type.Optional(Type.String()),
});
const parseRemembered = parserOf(Remembered, "remembered accelerator", "node-driver-failed");

/** `findAccelerator`, once per boot of the node and version of QEMU; the answer is kept in the folder. */
export async function rememberedAccelerator(folder: string, signal: AbortSignal): Promise<Accelerator> {
  if (process.arch !== "x64") {
    throw new SkerryError("host-unsupported", `Guests run on x86_64 hosts so far; this one is ${process.arch}.`, {
      remedy: "Use a host with an x86_64 processor.",
    });
  }
  const path = join(folder, "accelerator.json");
  const of = await circumstances();
  try {
    const { of: then, ...known } = parseRemembered(JSON.parse(await readFile(path, "utf8")));
    if (then === of) return known;
  } catch {
    // Nothing is remembered, or nothing that can be read: it is found out anew.
  }
  const found = await findAccelerator(folder, signal);
  await writeFile(path, JSON.stringify({ of, ...found } satisfies Static<typeof Remembered>));
  return found;
}

/** What the answer depends on: a reboot may change the kernel, the firmware's settings and the modules. */
async function circumstances(): Promise<string> {
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
  const kvm = await stat("/dev/kvm").then(
    ({ rdev, mode }) => `${rdev}/${mode}`,
    () => "none",
  );
  const qemu = await stat(qemuPath).then(
    ({ size, mtimeMs }) => `${size}/${mtimeMs}`,
    () => "none",
  );
  return `${bootId.trim()} ${kvm} ${qemu}`;
}

/**
 * What guests can run on. A device file that opens proves nothing: there are machines whose KVM takes a guest and then never
 * gets through its firmware. So a real one is booted, from the firmware to a program of ours that must answer.
 * @throws SkerryError node-driver-failed where QEMU does not even emulate
 */
async function findAccelerator(scratchFolder: string, signal: AbortSignal): Promise<Accelerator> {
  const emulatedOnly = existsSync("/dev/kvm") ? undefined : await whyNoDevice();
  return raceAccelerators(
    async (accelerator, limit) =>
      accelerator === "kvm" && emulatedOnly !== undefined ? emulatedOnly : boot(accelerator, scratchFolder, limit),
    signal,
  );
}

async function whyNoDevice(): Promise<string> {
  const flags = /^flags\s*:(.*)$/m.exec(await readFile("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  if (/\b(vmx|svm)\b/.test(flags))
    return "The processor has hardware virtualisation, but there is no /dev/kvm: the kvm module is not loaded.";
  return "There is no /dev/kvm, and the processor shows no hardware virtualisation: it is off in the firmware, or this is a virtual machine without nesting.";
}

/** Gives why the program did not answer; undefined where it did. */
async function boot(
  accelerator: "kvm" | "tcg",
  scratchFolder: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  await mkdir(scratchFolder, { recursive: true, mode: 0o700 });
  const disk = join(scratchFolder, `probe-${process.pid}-${accelerator}.img`);
  await writeFile(disk, bootSector);
  try {
    return await bootFrom(disk, accelerator, signal);
  } finally {
    await rm(disk, { force: true });
  }
}

async function bootFrom(disk: string, accelerator: "kvm" | "tcg", signal: AbortSignal): Promise<string | undefined> {
  const child = spawn(
    qemuPath,
    [
      ...["-accel", accelerator, "-machine", "q35", "-m", "64", "-nodefaults", "-no-user-config", "-display", "none"],
      ...["-device", `isa-debug-exit,iobase=${exitPort},iosize=1`],
      ...["-drive", `file=${disk},format=raw,if=floppy,readonly=on`],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-2000)));
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const end = AbortSignal.any([signal, AbortSignal.timeout(bootMs)]);
  const kill = (): void => void child.kill("SIGKILL");
  end.addEventListener("abort", kill, { once: true });
  child.once("error", (error) => resolve(`${qemuPath} could not be started: ${error.message}`));
  child.once("close", (code) => {
    if (code === answer * 2 + 1) resolve(undefined);
    else if (end.aborted)
      resolve(`A guest started with ${accelerator} did not get through its firmware within ${bootMs / 1000} s.`);
    else resolve(`QEMU with ${accelerator} ended with ${code ?? "a signal"}: ${words.trim()}`);
  });
  const failure = await promise;
  end.removeEventListener("abort", kill);
  signal.throwIfAborted();
  return failure;
}
