import type { Command } from "commander";
import { printLines, renderValue } from "../output/render.ts";
import { tableLines } from "../output/table.ts";
import { paint } from "../output/terminal.ts";
import type { CommandDeps } from "../command-deps.ts";

export function addDoctorCommand(program: Command, { terminal, signal }: CommandDeps): void {
  program
    .command("doctor")
    .description("tell what this machine can and can't do, and why")
    .option("--json", "as JSON")
    .action(async (options: { json?: boolean }) => {
      const { examineMachine } = await import("../doctor.ts");
      const findings = await examineMachine(signal);
      if (options.json ?? false) return renderValue(terminal, findings, "json");
      const colours = { yes: "green", partly: "yellow", no: "red" } as const;
      printLines(
        terminal,
        tableLines(
          [
            { title: "WHAT", cell: (row) => row.what },
            { title: "HERE", cell: (row) => paint(terminal.out, colours[row.verdict], row.verdict) },
            { title: "WHY", cell: (row) => row.why },
          ],
          findings,
          (text) => paint(terminal.out, "bold", text),
        ),
      );
      const remedies = findings.filter((finding) => finding.remedy !== undefined);
      if (remedies.length > 0)
        printLines(terminal, ["", ...remedies.map((finding) => `${finding.what}: ${finding.remedy ?? ""}`)]);
    });
}
