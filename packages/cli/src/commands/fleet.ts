import { homedir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError, type Command } from "commander";
import { SkerryError } from "@skerry/model";
import type { Fleet, FleetCounts, FleetOptions } from "@skerry/fleet";
import { openSession, readAuthority, withConnection } from "../session.ts";
import { formatBytes, formatDuration } from "../output/duration.ts";
import { openProgress, type ProgressLine } from "../output/progress.ts";
import { printLines, renderValue } from "../output/render.ts";
import { paint } from "../output/terminal.ts";
import type { CommandDeps } from "../command-deps.ts";

interface FleetFlags {
  readonly nodes: number;
  readonly sites: number;
  readonly seed: number;
  readonly boot: readonly [number, number];
  readonly slow: number;
  readonly failing: number;
  readonly hanging: number;
  readonly flapping: number;
  readonly instancesPerNode: number;
  readonly identities?: string;
  readonly for?: number;
}

/** How often the line of a fleet that runs is drawn anew. */
const lookMs = 500;
/** Refusals that are shown; the others are counted. */
const shownRefusals = 3;

export function addFleetCommand(program: Command, { terminal, signal }: CommandDeps): void {
  withConnection(program.command("fleet"))
    .description(
      "simulated nodes by the thousand, linked as agents are: to try a control plane's scale and its answers to failure",
    )
    .option("--nodes <n>", "how many", count, 100)
    .option("--sites <n>", "how many sites they are shared out to", count, 24)
    .option("--instances-per-node <n>", "instances to ask for, for each node", count, 0)
    .option("--seed <n>", "the same nodes and behaviour for the same number", count, 1)
    .option("--boot <ms>", "time that a guest takes to boot: LEAST:MOST", span, [200, 800])
    .option("--slow <percent>", "nodes that take twenty times as long", part, 0)
    .option("--failing <percent>", "nodes where no guest starts", part, 0)
    .option("--hanging <percent>", "nodes that answer, and do nothing", part, 0)
    .option("--flapping <percent>", "nodes that lose their link again and again", part, 0)
    .option("--identities <file>", "where the nodes' keys are kept, so that the same come back")
    .option("--for <seconds>", "end by itself after so long; at Ctrl-C where absent", count)
    .action(async (flags: FleetFlags, command: Command) => {
      const { openIdentityFile, makeInstances, makeProject, planFleet, startFleet } = await import("@skerry/fleet");
      const { client, context, output } = await openSession(terminal, command);
      if (context.authorityFile === undefined) {
        throw new SkerryError(
          "invalid-request",
          "Nodes trust their control plane's own authority, and none is known here.",
          {
            remedy: "Name its file with --authority; it is pki/ca.pem in the server's data directory.",
          },
        );
      }
      const plan = planFleet(optionsOf(flags));
      const file = openIdentityFile(flags.identities ?? defaultFile(context.server, flags.seed));
      const progress = await openProgress(terminal);
      const startMs = performance.now();
      const failures: string[] = [];
      const lines = new Map<string, ProgressLine>();
      const show = (line: ProgressLine): void => {
        lines.set(line.label, { ...line, elapsedMs: performance.now() - startMs });
        progress.update([...lines.values()]);
      };
      let joined = 0;
      let fleet: Fleet | undefined;
      try {
        show({ label: "join", state: "running", done: 0, total: flags.nodes });
        fleet = await startFleet(
          plan,
          {
            client,
            server: context.server,
            authority: readAuthority(context.authorityFile),
            identities: file.identities,
            onJoined: (name, identity) => {
              file.keep(name, identity);
              joined += 1;
              show({ label: "join", state: "running", done: joined, total: flags.nodes });
            },
            onFailed: (name, message) => void failures.push(`${name}: ${message}`),
          },
          signal,
        );
        const counts = await fleet.until((now) => now.linked + failures.length + now.refused >= flags.nodes, signal);
        show({ label: "join", state: "done", message: `${counts.linked} of ${flags.nodes} nodes are linked` });
        const wanted = flags.nodes * flags.instancesPerNode;
        const refusals: SkerryError[] = [];
        if (wanted > 0) {
          await makeProject(client, signal);
          let answers = 0;
          const names = Array.from(
            { length: wanted },
            (_, index) => `sim-${flags.seed}-${String(index).padStart(7, "0")}`,
          );
          const made = await makeInstances(
            client,
            names,
            (refusal) => {
              answers += 1;
              if (refusal !== undefined) refusals.push(refusal);
              show({ label: "instances", state: "running", done: answers, total: wanted });
            },
            signal,
          );
          show({
            label: "instances",
            state: refusals.length === 0 ? "done" : "failed",
            message: `${made} of ${wanted} are asked for`,
          });
        }
        await run(
          fleet,
          flags.for,
          (now) => show({ label: "fleet", state: "running", message: sentence(now) }),
          signal,
        );
        const last = fleet.counts();
        show({ label: "fleet", state: "done", message: sentence(last) });
        progress.finish();
        for (const message of [...failures, ...refusals.map((refusal) => refusal.message)].slice(0, shownRefusals))
          terminal.err.write(`${paint(terminal.err, "red", message)}\n`);
        const more = failures.length + refusals.length - shownRefusals;
        if (more > 0) terminal.err.write(`… and ${more} more\n`);
        if (output !== "table")
          await renderValue(terminal, { ...last, failed: failures.length, refusedInstances: refusals.length }, output);
        else
          printLines(terminal, [
            sentence(last),
            "The control plane keeps the nodes: run the same again, and they are back.",
          ]);
      } finally {
        progress.finish();
        await fleet?.close();
      }
    });
}

/** Until Ctrl-C, or for so long. */
async function run(
  fleet: Fleet,
  seconds: number | undefined,
  show: (counts: FleetCounts) => void,
  signal: AbortSignal,
): Promise<void> {
  const limit = seconds === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  const timer = setInterval(() => show(fleet.counts()), lookMs);
  await new Promise<void>((resolve) => {
    if (limit.aborted) resolve();
    else limit.addEventListener("abort", () => resolve(), { once: true });
  });
  clearInterval(timer);
}

function sentence({ nodes, linked, running, ends, residentBytes, cpuMs }: FleetCounts): string {
  const lost = ends === 0 ? "" : `, ${ends} links were lost`;
  return (
    `${linked} of ${nodes} nodes linked, ${running} instances run${lost}; ` +
    `the simulation takes ${formatBytes(residentBytes)} and has taken ${formatDuration(cpuMs)} of CPU`
  );
}

function optionsOf({ nodes, sites, seed, boot, slow, failing, hanging, flapping }: FleetFlags): FleetOptions {
  const parts = { slow: slow / 100, failing: failing / 100, hanging: hanging / 100, flapping: flapping / 100 };
  return { nodes, sites, seed, bootMs: boot, parts };
}

function defaultFile(server: string, seed: number): string {
  const folder = process.env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state");
  return join(folder, "skerry", "fleets", `${server.replaceAll(/[^a-z0-9.]+/gi, "-")}-${seed}.jsonl`);
}

function count(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < 0)
    throw new InvalidArgumentError("write a whole number");
  return value;
}

function part(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 100))
    throw new InvalidArgumentError("write a number from 0 to 100");
  return value;
}

function span(text: string): readonly [number, number] {
  const [, least = "", most = least] = /^([0-9]+)(?::([0-9]+))?$/.exec(text) ?? [];
  if (least === "" || Number(most) < Number(least))
    throw new InvalidArgumentError("write LEAST:MOST in milliseconds, such as 200:800");
  return [Number(least), Number(most)];
}
