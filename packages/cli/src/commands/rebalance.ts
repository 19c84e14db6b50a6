import { Option, type Command } from "commander";
import { rebalanceObjectives, type RebalanceProposals } from "@skerry/model";
import { followOperation } from "../mutation.ts";
import { formatBytes } from "../output/duration.ts";
import { printLines, renderValue } from "../output/render.ts";
import { tableLines, type Column } from "../output/table.ts";
import { openSession, withConnection, withReason } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { given, toNumber } from "./flag-values.ts";
import { reportMoves } from "./maintenance.ts";

interface Flags {
  readonly objective: RebalanceProposals["objective"];
  readonly maxMoves?: number;
  readonly maxParallel?: number;
  readonly ignoreBudgets?: boolean;
  readonly apply?: boolean;
  readonly wait?: boolean;
}

/** `skerry placement rebalance`. */
export function addRebalanceCommand(program: Command, { terminal, signal }: CommandDeps): void {
  const parent = program.commands.find((command) => command.name() === "placement");
  if (parent === undefined) throw new Error("the placement commands come first");
  withReason(withConnection(parent.command("rebalance")))
    .description("moves that gain something, with what they cost; carries them out with --apply")
    .addOption(new Option("--objective <what>", "what is to be better").choices(rebalanceObjectives).default("balance"))
    .option("--max-moves <number>", "at most so many; 20 where absent", toNumber)
    .option("--apply", "carry them out")
    .option("--max-parallel <number>", "how many may be on the move at once; 2 where absent", toNumber)
    .option("--ignore-budgets", "move also what disruption budgets would keep up")
    .option("-w, --wait", "with --apply: wait for the end, showing how far it is")
    .action(async (flags: Flags, self: Command) => {
      const session = await openSession(terminal, self);
      const { objective, maxMoves, maxParallel, ignoreBudgets } = flags;
      const wish = { objective, ...given({ maxMoves, maxParallel, ignoreBudgets }) };
      const apply = flags.apply ?? false;
      const { proposals, operation } = await session.client.rebalance(wish, { dryRun: !apply }, signal);
      if (session.output === "table") printLines(terminal, proposalLines(proposals));
      else await renderValue(terminal, { proposals, operation }, session.output);
      if (operation === undefined) return;
      terminal.err.write(`begun (operation ${operation.metadata.name})\n`);
      if (!session.wait) return;
      await followOperation(terminal, session, operation, signal);
      await reportMoves({ terminal, signal }, session, operation);
    });
}

const units: Readonly<Record<RebalanceProposals["objective"], string>> = {
  balance: "sum of squared use",
  price: "EUR/h",
  carbon: "vCPU g/kWh",
  consolidation: "nodes in use",
};

const columns: readonly Column<RebalanceProposals["moves"][number]>[] = [
  { title: "INSTANCE", cell: ({ project, instance }) => `${project}/${instance}` },
  { title: "FROM", cell: ({ from }) => from },
  { title: "TO", cell: ({ to }) => to },
  { title: "GAIN", align: "right", cell: ({ gain }) => rounded(gain) },
  { title: "BYTES", align: "right", cell: ({ bytes }) => formatBytes(bytes) },
];

export function proposalLines({
  objective,
  before,
  after,
  moves,
  hidden,
  bytes,
  lookedAt,
}: RebalanceProposals): string[] {
  const count = moves.length + hidden;
  if (count === 0) return [`Nothing to gain: ${objective} is ${rounded(before)} ${units[objective]}.`];
  return [
    ...tableLines(columns, moves),
    `${objective}: ${rounded(before)} to ${rounded(after)} ${units[objective]} by ${count} moves, ${formatBytes(bytes)}; of ${lookedAt} instances`,
    ...(hidden === 0 ? [] : [`${hidden} that you may not see are not listed`]),
  ];
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(4)));
}
