import { mkdir, rm } from "node:fs/promises";
import { isIPv4, connect } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import type { ComputeDriver, ComputeProbe, Guest, GuestDefinition } from "../../compute.ts";
import { checkedId } from "../../server-made-id.ts";
import { rememberedAccelerator } from "./accelerator.ts";
import type { Accelerator } from "./accelerator-race.ts";
import { ConsoleLine } from "./console-line.ts";
import { readConsoleLog } from "./console-log.ts";
import { takesDirectAccess } from "./direct-access.ts";
import { domainXml, metadataNamespace, readMetadata } from "./domain-xml.ts";
import { findGuestProcess, processStartMs } from "./guest-process.ts";
import { guestState } from "./guest-state.ts";
import * as calls from "./libvirt-calls.ts";
import { errorNumbers, LibvirtError } from "./libvirt-error.ts";
import { LibvirtLink } from "./libvirt-link.ts";

export interface LibvirtOptions {
  /** Folder for each guest's console socket and log; made where it is missing. */
  readonly folder: string;
  /** Where libvirt's daemon listens. */
  readonly socketPath?: string;
  readonly uri?: string;
}

type Connection = Awaited<ReturnType<LibvirtLink["connection"]>>;

/** Longest path that a UNIX socket may have, less its final zero. */
const maxSocketPath = 107;
/** How long a killed guest's process may take to be gone from the node. */
const goneMs = 30_000;

/** Guests as libvirt's domains, run by QEMU. It keeps nothing of its own: libvirt knows the guests, whoever started them. */
export function openLibvirt(options: LibvirtOptions): ComputeDriver & Disposable {
  return new LibvirtGuests(options);
}

class LibvirtGuests implements ComputeDriver, Disposable {
  readonly name = "libvirt";
  readonly #folder: string;
  readonly #link: LibvirtLink;
  readonly #consoles = new Map<string, ConsoleLine>();
  /** Start times by guest and libvirt's number of the run, since finding a process means looking through all. */
  readonly #starts = new Map<string, { readonly run: number; readonly startedAtMs: number }>();
  #accelerator: Promise<Accelerator> | undefined;

  constructor(options: LibvirtOptions) {
    this.#folder = options.folder;
    this.#link = new LibvirtLink(options.socketPath ?? "/run/libvirt/libvirt-sock", options.uri ?? "qemu:///system");
  }

  [Symbol.dispose](): void {
    this.#link.close();
  }

  async probe(signal: AbortSignal): Promise<ComputeProbe> {
    // Side by side: libvirt may only just be starting, and asks QEMU for its abilities by then.
    const [accelerator, { hypervisor, libvirt }] = await Promise.all([
      this.#findAccelerator(signal),
      this.#link.connection(signal).then((connection) => calls.versions(connection, signal)),
    ]);
    return { ...accelerator, versions: { qemu: hypervisor, libvirt } };
  }

  async list(signal: AbortSignal): Promise<readonly Guest[]> {
    const connection = await this.#link.connection(signal);
    const all = await calls.allDomainStats(connection, signal);
    // Others' domains have other names; ours hold our note.
    const candidates = all.filter(({ domain }) => isGuestName(domain.name));
    const guests = await Promise.all(candidates.map((stats) => this.#guestOf(connection, stats, signal)));
    return guests.filter((guest) => guest !== undefined);
  }

  async define(guest: GuestDefinition, signal: AbortSignal): Promise<void> {
    const id = checkedId("ins", guest.id);
    const connection = await this.#link.connection(signal);
    const found = await calls.lookup(connection, id, signal);
    if (found !== undefined && found.id !== -1) throw runs(id, "Stop it before its definition is replaced.");
    const { accelerator } = await this.#findAccelerator(signal);
    const direct = new Map<string, boolean>();
    for (const disk of guest.disks) direct.set(disk.path, await takesDirectAccess(disk.path));
    const folder = await this.#makeFolder(id);
    const xml = domainXml(guest, {
      accelerator,
      consoleSocket: join(folder, "console.sock"),
      consoleLog: join(folder, "console.log"),
      direct: (path) => direct.get(path) === true,
    });
    await calls.define(connection, xml, signal);
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    const connection = await this.#link.connection(signal);
    const domain = await calls.lookup(connection, checkedId("ins", id), signal);
    if (domain === undefined) {
      throw new SkerryError("node-driver-failed", `Guest ${id} is not defined on this node.`, {
        remedy: "Define it first.",
      });
    }
    if (domain.id !== -1) return;
    await this.#makeFolder(id);
    try {
      await calls.create(connection, domain, signal);
    } catch (error) {
      // Somebody else may have started it in between.
      const invalid = error instanceof LibvirtError && error.number === errorNumbers.operationInvalid;
      if (!invalid || !(await this.#isRunning(id, signal))) throw error;
    }
  }

  async shutdown(id: string, signal: AbortSignal): Promise<void> {
    await this.#withRunning(id, signal, calls.pressPowerButton);
  }

  async kill(id: string, signal: AbortSignal): Promise<void> {
    await this.#withRunning(id, signal, calls.destroy);
    // libvirt has seen the process end; that no other holds the disks is looked at again, since data depends on it.
    const deadline = performance.now() + goneMs;
    for (let pid = await findGuestProcess(id); pid !== undefined; pid = await findGuestProcess(id)) {
      if (performance.now() > deadline) {
        throw new SkerryError("node-driver-failed", `Process ${pid} of guest ${id} does not end.`, {
          remedy: "It hangs in the kernel, mostly on a disk that does not answer. See on the node what it waits for.",
        });
      }
      await delay(20, undefined, { signal });
    }
  }

  async undefine(id: string, signal: AbortSignal): Promise<void> {
    const connection = await this.#link.connection(signal);
    const domain = await calls.lookup(connection, checkedId("ins", id), signal);
    if (domain !== undefined) {
      if (domain.id !== -1) throw runs(id, "Stop it before it is forgotten.");
      await calls.undefine(connection, domain, signal);
    }
    this.#starts.delete(id);
    await rm(this.#folderOf(id), { recursive: true, force: true });
  }

  async console(id: string, signal: AbortSignal): Promise<Duplex> {
    if (!(await this.#isRunning(id, signal))) throw runsNot(id);
    const line = this.#consoles.get(id) ?? this.#openLine(id);
    return line.join(signal);
  }

  async consoleLog(id: string, options: { readonly follow: boolean; readonly maxBytes: number }, signal: AbortSignal) {
    signal.throwIfAborted();
    const folder = options.follow ? await this.#makeFolder(id) : this.#folderOf(id);
    return readConsoleLog(join(folder, "console.log"), options, signal);
  }

  async dial(id: string, address: string, port: number, signal: AbortSignal): Promise<Duplex> {
    if (!isIPv4(address))
      throw new SkerryError("invalid-request", `${JSON.stringify(address.slice(0, 60))} is not an IPv4 address.`);
    if (!(await this.#isRunning(id, signal))) throw runsNot(id);
    const socket = connect({ host: address, port });
    try {
      await once(socket, "connect", { signal });
      return socket;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      const words = error instanceof Error ? error.message : String(error);
      throw new SkerryError("node-driver-failed", `Guest ${id} does not take the connection: ${words}.`, {
        remedy: "See on the guest's console whether it has started and serves that port.",
        cause: error,
      });
    }
  }

  onChange(listener: () => void): () => void {
    return this.#link.onChange(listener);
  }

  #openLine(id: string): ConsoleLine {
    const line = new ConsoleLine(join(this.#folderOf(id), "console.sock"), () => {
      if (this.#consoles.get(id) === line) this.#consoles.delete(id);
    });
    this.#consoles.set(id, line);
    return line;
  }

  #folderOf(id: string): string {
    return join(this.#folder, checkedId("ins", id));
  }

  async #makeFolder(id: string): Promise<string> {
    const folder = this.#folderOf(id);
    if (join(folder, "console.sock").length > maxSocketPath) {
      throw new SkerryError("node-driver-failed", `${folder} is too long a path for a socket.`, {
        remedy: "Give the agent a shorter folder.",
      });
    }
    // libvirt opens what is in it as root, so nobody else has to get in.
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  #findAccelerator(signal: AbortSignal): Promise<Accelerator> {
    this.#accelerator ??= rememberedAccelerator(this.#folder, signal).catch((error: unknown) => {
      this.#accelerator = undefined;
      throw error;
    });
    return this.#accelerator;
  }

  async #guestOf(
    connection: Connection,
    { domain, state, reason, cpuNanoseconds }: calls.DomainStats,
    signal: AbortSignal,
  ): Promise<Guest | undefined> {
    const noted = readMetadata((await calls.metadata(connection, domain, metadataNamespace, signal)) ?? "");
    if (noted === undefined) return undefined;
    const startedAtMs = domain.id === -1 ? undefined : await this.#startedAt(domain);
    return {
      id: domain.name,
      ...noted,
      ...guestState(state, reason),
      ...(startedAtMs === undefined ? {} : { startedAtMs, cpuSeconds: Number(cpuNanoseconds) / 1e9 }),
    };
  }

  async #startedAt(domain: calls.Domain): Promise<number | undefined> {
    const known = this.#starts.get(domain.name);
    if (known?.run === domain.id) return known.startedAtMs;
    const pid = await findGuestProcess(domain.name);
    const startedAtMs = pid === undefined ? undefined : await processStartMs(pid);
    if (startedAtMs !== undefined) this.#starts.set(domain.name, { run: domain.id, startedAtMs });
    return startedAtMs;
  }

  async #isRunning(id: string, signal: AbortSignal): Promise<boolean> {
    const domain = await calls.lookup(await this.#link.connection(signal), checkedId("ins", id), signal);
    return domain !== undefined && domain.id !== -1;
  }

  /** Does nothing for a guest that does not run, or stops running meanwhile. */
  async #withRunning(
    id: string,
    signal: AbortSignal,
    call: (connection: Connection, domain: calls.Domain, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const connection = await this.#link.connection(signal);
    const domain = await calls.lookup(connection, checkedId("ins", id), signal);
    if (domain === undefined || domain.id === -1) return;
    try {
      await call(connection, domain, signal);
    } catch (error) {
      const gone: readonly number[] = [errorNumbers.operationInvalid, errorNumbers.noDomain];
      const ended =
        error instanceof LibvirtError && gone.includes(error.number) && !(await this.#isRunning(id, signal));
      if (!ended) throw error;
    }
  }
}

/** Ids are the only names that the driver gives. */
function isGuestName(name: string): boolean {
  return /^ins_[0-9a-hjkmnp-tv-z]{26}$/.test(name);
}

function runs(id: string, remedy: string): SkerryError {
  return new SkerryError("conflict", `Guest ${id} runs.`, { remedy });
}

function runsNot(id: string): SkerryError {
  return new SkerryError("node-driver-failed", `Guest ${id} does not run.`, { remedy: "Start it first." });
}
