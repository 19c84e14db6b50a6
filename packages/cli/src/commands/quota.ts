import type { Command } from "commander";
import { SkerryError, kindWord, quotaFields, type Quota, type QuotaField, type Spend, type Usage } from "@skerry/model";
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
        `show what it has and may have; set limits (vcpus=8, spend=250EUR) or lift them (vcpus-): ${quotaFields.join(", ")}, spend a month`,
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
        const { usage, spend } = status;
        const shown = { quota, usage, ...(spend === undefined ? {} : { spend }) };
        if (session.output !== "table") return renderValue(terminal, shown, session.output);
        const columns = [
          { title: "WHAT", cell: ([what]: Row) => what },
          { title: "USED", align: "right", cell: ([, used]: Row) => used },
          { title: "LIMIT", align: "right", cell: ([, , most]: Row) => most },
        ] as const;
        printLines(terminal, tableLines(columns, rowsOf(quota, usage, spend)));
      });
  }
}

type Row = readonly [what: string, used: string, most: string];

function rowsOf(quota: Quota, usage: Usage | undefined, spend: Spend | undefined): readonly Row[] {
  const counts = quotaFields.map((field): Row => [
    field,
    String(usage?.[field] ?? "-"),
    String(quota[field] ?? "none"),
  ]);
  const { currency = "", perMonth = "" } = quota.spend ?? {};
  if (spend === undefined) return counts;
  const most = `${perMonth} ${currency}`;
  return [...counts, ["spend this month", spend.thisMonth, most], ["spend next month", spend.nextMonth, most]];
}

/** @throws SkerryError invalid-request */
function toLimit(word: string): readonly [QuotaField | "spend", number | Quota["spend"] | null] {
  const [, perMonth, currency] = /^spend=([0-9]{1,12}(?:[.][0-9]{1,6})?)([A-Z]{3})$/.exec(word) ?? [];
  if (perMonth !== undefined && currency !== undefined) return ["spend", { currency, perMonth }];
  if (word === "spend-") return ["spend", null];
  const [, name = "", value] = /^([a-z]+)(?:=([0-9]+)|-)$/i.exec(word) ?? [];
  const field = quotaFields.find((one) => one === name);
  const limit = value === undefined ? null : Number(value);
  if (field !== undefined && (limit === null || Number.isSafeInteger(limit))) return [field, limit];
  throw new SkerryError("invalid-request", `"${word}" is not a limit.`, {
    remedy: `Write ${quotaFields.map((one) => `${one}=NUMBER`).join(", ")}, spend=AMOUNTCURRENCY (spend=250EUR), or ${quotaFields[0]}- to lift one.`,
  });
}
