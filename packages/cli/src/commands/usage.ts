import type { Command } from "commander";
import type { UsageLine, UsageReport } from "@skerry/model";
import { SkerryError } from "@skerry/model";
import { outputFormats, printLines, renderValue, type OutputFormat } from "../output/render.ts";
import { tableLines, type Column } from "../output/table.ts";
import type { Terminal } from "../output/terminal.ts";
import { openSession, withConnection } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";

/** What was used in a month, and what it costs. */
export function addUsageCommand(program: Command, { terminal, signal }: CommandDeps): void {
  const command = withConnection(program.command("usage"))
    .description("what a project, or all of an organisation, used in a month at each site, and what that costs")
    .option("--month <month>", "such as 2026-11, in UTC; this one where absent")
    .option("--organisation <name>", "all its projects, instead of one project");
  const output = command.options.find(({ long }) => long === "--output");
  output?.choices([...outputFormats, "csv"]);
  command.action(
    async (flags: { month?: string; organisation?: string; output: OutputFormat | "csv" }, self: Command) => {
      const session = await openSession(terminal, self);
      const { organisation, month, output: format } = flags;
      if (organisation === undefined && session.project === undefined) {
        throw new SkerryError("invalid-request", "Whose usage?", {
          remedy: "Give --project NAME or --organisation NAME.",
        });
      }
      const report =
        organisation === undefined
          ? await session.client.usage("Project", session.project ?? "", month, signal)
          : await session.client.usage("Organisation", organisation, month, signal);
      if (format === "csv") terminal.out.write(usageCsv(report));
      else if (format === "table") showUsage(terminal, report);
      else await renderValue(terminal, report, format);
    },
  );
}

const hour = 3600;
const cells = {
  vcpuHours: ({ vcpuSeconds }: UsageLine) => Number(vcpuSeconds) / hour,
  memoryGiBHours: ({ memoryMiBSeconds }: UsageLine) => Number(memoryMiBSeconds) / 1024 / hour,
  storageGiBHours: ({ storageMiBSeconds }: UsageLine) => Number(storageMiBSeconds) / 1024 / hour,
  addressHours: ({ addressSeconds }: UsageLine) => Number(addressSeconds) / hour,
  gpuHours: ({ gpuSeconds }: UsageLine) => Number(gpuSeconds) / hour,
} as const;

function showUsage(terminal: Terminal, { month, until, lines, totals }: UsageReport): void {
  terminal.err.write(`${month}, until ${until}\n`);
  if (lines.length === 0) {
    terminal.err.write("Nothing was used.\n");
    return;
  }
  const amount = (title: string, cell: (line: UsageLine) => number): Column<UsageLine> => ({
    ...{ title, align: "right" },
    cell: (line) => cell(line).toFixed(2),
  });
  const columns: readonly Column<UsageLine>[] = [
    { title: "PROJECT", cell: ({ project }) => project },
    { title: "SITE", cell: ({ site }) => site },
    amount("VCPU h", cells.vcpuHours),
    amount("MEMORY GiB h", cells.memoryGiBHours),
    amount("STORAGE GiB h", cells.storageGiBHours),
    amount("ADDRESS h", cells.addressHours),
    amount("GPU h", cells.gpuHours),
    {
      ...{ title: "COST", align: "right" },
      cell: ({ cost }) => (cost === undefined ? "-" : `${cost.total} ${cost.currency}`),
    },
  ];
  printLines(terminal, tableLines(columns, lines));
  for (const { currency, total } of totals) terminal.out.write(`total ${total} ${currency}\n`);
}

/** RFC 4180, one line each; amounts exact, costs as reported. No value needs quotes: names and numbers hold no comma. */
export function usageCsv({ month, until, lines }: UsageReport): string {
  const titles = [
    ...["month", "until", "project", "site"],
    ...["vcpuSeconds", "memoryMiBSeconds", "storageMiBSeconds", "addressSeconds", "gpuSeconds"],
    ...["currency", "vcpuCost", "memoryCost", "storageCost", "addressCost", "gpuCost", "totalCost"],
  ];
  const rows = lines.map(
    ({ project, site, vcpuSeconds, memoryMiBSeconds, storageMiBSeconds, addressSeconds, gpuSeconds, cost }) => [
      ...[month, until, project, site, vcpuSeconds, memoryMiBSeconds, storageMiBSeconds, addressSeconds, gpuSeconds],
      ...(cost === undefined
        ? ["", "", "", "", "", "", ""]
        : [cost.currency, cost.vcpus, cost.memory, cost.storage, cost.addresses, cost.gpus, cost.total]),
    ],
  );
  return [titles, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}
