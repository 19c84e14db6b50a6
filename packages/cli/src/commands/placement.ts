import type { Command } from "commander";
import { SimulationRequest, SkerryError, parserOf } from "@skerry/model";
import { explanationLines, simulationLines, type Paint } from "../output/placement-lines.ts";
import { printLines, renderValue } from "../output/render.ts";
import { paint, type Terminal } from "../output/terminal.ts";
import { openSession, withConnection } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { readFlagFile } from "./flag-values.ts";

/** Why something is where it is, and what would be. */
export function addPlacementCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const placement = program
    .command("placement")
    .description("why instances are where they are, and where they would be");

  withConnection(placement.command("explain <name>"))
    .description(
      "why an instance is on its node, why the next best lost, what stands in the way elsewhere, and what would change it: as it was " +
        "decided, where that is still known, and as it would be decided now",
    )
    .action(async (name: string, _flags: unknown, self: Command) => {
      const session = await openSession(terminal, self);
      const explanation = await session.client.explainPlacement(session.key("Instance", name), signal);
      if (session.output === "table") printLines(terminal, explanationLines(explanation, paintOf(terminal)));
      else await renderValue(terminal, explanation, session.output);
    });

  withConnection(placement.command("simulate"))
    .description("where instances would go if sites, nodes, prices or round trips were otherwise; changes nothing")
    .requiredOption(
      "-f, --file <file>",
      "what to place and what to change, as YAML or JSON; examples are in docs/placement.md",
    )
    .action(async (flags: { file: string }, self: Command) => {
      const session = await openSession(terminal, self);
      const asked = readSimulation(await readYaml(flags.file), flags.file, session.project);
      const simulation = await session.client.simulatePlacement(asked, signal);
      if (session.output === "table") printLines(terminal, simulationLines(simulation, paintOf(terminal)));
      else await renderValue(terminal, simulation, session.output);
    });
}

function paintOf({ out }: Terminal): Paint {
  return {
    title: (text) => paint(out, "bold", text),
    good: (text) => paint(out, "green", text),
    bad: (text) => paint(out, "red", text),
    faint: (text) => paint(out, "dim", text),
  };
}

async function readYaml(path: string): Promise<unknown> {
  const text = await readFlagFile(path, "--file");
  const { parse } = await import("yaml");
  try {
    return parse(text, { maxAliasCount: 100 }) as unknown;
  } catch (error) {
    throw new SkerryError("invalid-request", `${path}: ${(error as Error).message}`, {
      remedy: "Correct the YAML.",
      cause: error,
    });
  }
}

/** What names no project is of the chosen one. @throws SkerryError invalid-request that names the field */
export function readSimulation(value: unknown, what: string, project: string | undefined): SimulationRequest {
  const inProject = (list: unknown): unknown =>
    Array.isArray(list) && project !== undefined
      ? list.map((one: unknown) => (typeof one === "object" && one !== null ? { project, ...one } : one))
      : list;
  const fields = typeof value === "object" && value !== null ? { ...value } : value;
  if (typeof fields === "object" && fields !== null)
    for (const field of ["requests", "instances"])
      if (field in fields) Reflect.set(fields, field, inProject(Reflect.get(fields, field)));
  return parserOf(
    SimulationRequest,
    `simulation in ${what}`,
    "invalid-request",
    "Correct the named fields: docs/placement.md has examples. What is in a project names it, or give --project NAME.",
  )(fields);
}
