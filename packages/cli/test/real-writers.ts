import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { WriterHistory, type Writing } from "@skerry/testkit";
import { nodeNames, type NodeName, type RealZone } from "./real-zone.ts";
import { eventually } from "./zone.ts";

/*
 * An onlooker who sees the processes of all hosts, for they share one kernel: when each QEMU of a guest began, to a hundredth of a
 * second as the kernel has it, and when it was gone, to a round of looking. Times are milliseconds since this machine booted,
 * which the hosts' leases are counted in too.
 */

export interface WriterWatch extends AsyncDisposable {
  /** What wrote when, suspended hosts excepted. */
  readonly history: readonly Writing[];
  /** All processes of a host stand still, at one time, until it is thawed; its clock goes on. */
  freeze(node: NodeName): Promise<void>;
  thaw(node: NodeName): Promise<void>;
}

interface Guest {
  readonly pid: number;
  readonly instanceId: string;
  readonly node: NodeName;
  readonly epoch: number;
}

const roundMs = 20;
/** Rounds between two looks for new processes. */
const searchEvery = 10;

export function uptimeMs(): number {
  return Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) * 1000;
}

export function watchWriters(zone: RealZone): WriterWatch {
  const history = new WriterHistory();
  const frozen = new Set<NodeName>();
  let thawed: NodeName | undefined;
  const guests = new Map<number, Guest>();
  const over = new AbortController();

  const look = (): void => {
    const nowMs = uptimeMs();
    const seen = new Set<string>();
    for (const [pid, guest] of guests) {
      const { instanceId, node, epoch } = guest;
      const startMs = startOf(pid);
      if (startMs === undefined) {
        guests.delete(pid);
        continue;
      }
      if (frozen.has(node)) continue;
      seen.add(`${instanceId} ${node}`);
      const known = history.all.some(
        (one) => one.instanceId === instanceId && one.node === node && one.untilMs === undefined,
      );
      history.see(instanceId, node, epoch, known || node === thawed ? nowMs : startMs, node === thawed);
    }
    for (const { instanceId, node, untilMs } of history.all)
      if (untilMs === undefined && !seen.has(`${instanceId} ${node}`))
        history.see(instanceId, node, undefined, nowMs, false);
    thawed = undefined;
  };
  const looking = (async () => {
    for (let round = 0; !over.signal.aborted; round += 1) {
      if (round % searchEvery === 0) for (const guest of findGuests(zone, guests)) guests.set(guest.pid, guest);
      look();
      await delay(roundMs);
    }
  })();

  const freezer = (node: NodeName): string => {
    const hierarchy = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) => existsSync(`${path}/cgroup.procs`));
    return `${hierarchy}/skerry-testbed/host-${zone.host(node).name}/cgroup.`;
  };
  return {
    history: history.all,
    freeze: async (node) => {
      await writeFile(`${freezer(node)}freeze`, "1");
      await eventually("the host stands still", async () =>
        readFileSync(`${freezer(node)}events`, "latin1").includes("frozen 1"),
      );
      frozen.add(node);
      look();
    },
    thaw: async (node) => {
      for (const guest of findGuests(zone, guests)) guests.set(guest.pid, guest);
      frozen.delete(node);
      thawed = node;
      look();
      await writeFile(`${freezer(node)}freeze`, "0");
    },
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await looking;
    },
  };
}

/** QEMUs of guests that are not known yet. */
function findGuests(zone: RealZone, known: ReadonlyMap<number, Guest>): readonly Guest[] {
  const found: Guest[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isSafeInteger(pid) || known.has(pid)) continue;
    const command = textOf(`/proc/${name}/cmdline`);
    const instanceId = /^[^\0]*qemu-system[^\0]*\0(?:[^\0]*\0)*?guest=(ins_[0-9a-z]+),/.exec(command)?.[1];
    const volumeId = /\/(vol_[0-9a-z]+)\.qcow2/.exec(command)?.[1];
    const node = instanceId === undefined ? undefined : nodeNames.find((candidate) => isOn(zone, candidate, pid));
    if (instanceId === undefined || volumeId === undefined || node === undefined) continue;
    const epoch = Number(textOf(`${zone.host(node).rootPath}/var/lib/skerry/volumes/${volumeId}.epoch`));
    found.push({ pid, instanceId, node, epoch });
  }
  return found;
}

function isOn(zone: RealZone, node: NodeName, pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync(`/proc/${zone.host(node).leaderPid}/ns/pid`);
  } catch {
    return false; // It has ended meanwhile.
  }
}

/** When a process began; undefined once it can do nothing any more. */
function startOf(pid: number): number | undefined {
  const fields = textOf(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  const [state] = fields;
  // A dead one is only waited for by its parent. Field 22 counts hundredths of a second.
  return state === undefined || state === "" || "ZX".includes(state) ? undefined : Number(fields[19]) * 10;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // Processes end while they are looked through.
  }
}
