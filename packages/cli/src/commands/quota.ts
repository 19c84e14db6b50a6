import type { Command } from "commander";
import { SkerryError, kindWord, quotaFields, type QuotaField } from "@skerry/model";
import { concludeMutation, showPlan } from "../mutation.ts";
import { printLines, renderValue } from "../output/render.ts";
import { tableLines } from "../output/table.ts";
import { openSession, withMutation } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";

/** `quota` of projects and organisations: what there is and may be, and how to change that. */
export function addQuotaCommands(program: Command, { terminal, signal }: CommandDeps): void {
  for (const kind of ["Project", "Organisation"] as const) {
    const parent = program.commands.find((command) => command.name() === kindWord(kind));
    if (parent === undefined) throw new Error("the kind commands come first");
    withMutation(parent.command("quota <name> [limits...]"))
      .description(
        `show what it has and may have; set limits (vcpus=8) or lift them (vcpus-): ${quotaFields.join(", ")}`,
      )
      .action(async (name: string, words: readonly string[], options: { dryRun?: boolean }, command: Command) => {
        const limits = Object.fromEntries(words.map(toLimit));
        const session = await openSession(terminal, command);
        const key = session.key(kind, name);
        if (words.length > 0) {
          const patch = { spec: { quota: limits } };
          if (options.dryRun ?? false) return showPlan(terminal, session, kind, key, { verb: "patch", patch }, signal);
          const mutation = await session.client.patch(kind, key, patch, {}, signal);
          return concludeMutation(terminal, session, "limited", mutation, signal);
        }
        const { spec, status } = await session.client.get(kind, key, signal);
        const { quota = {} } = spec;
        const { usage } = status;
        if (session.output !== "table") return renderValue(terminal, { quota, usage }, session.output);
        const columns = [
          { title: "WHAT", cell: (field: QuotaField) => field },
          { title: "USED", align: "right", cell: (field: QuotaField) => String(usage?.[field] ?? "-") },
          { title: "LIMIT", align: "right", cell: (field: QuotaField) => String(quota[field] ?? "none") },
        ] as const;
        printLines(terminal, tableLines(columns, quotaFields));
      });
  }
}

/** @throws SkerryError invalid-request */
function toLimit(word: string): readonly [QuotaField, number | null] {
  const [, name = "", value] = /^([a-z]+)(?:=([0-9]+)|-)$/i.exec(word) ?? [];
  const field = quotaFields.find((one) => one === name);
  const limit = value === undefined ? null : Number(value);
  if (field !== undefined && (limit === null || Number.isSafeInteger(limit))) return [field, limit];
  throw new SkerryError("invalid-request", `"${word}" is not a limit.`, {
    remedy: `Write ${quotaFields.map((one) => `${one}=NUMBER`).join(", ")}, or ${quotaFields[0]}- to lift one.`,
  });
}
