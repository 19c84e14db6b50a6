import { createReadStream, existsSync } from "node:fs";
import { Option, type Command } from "commander";
import { SkerryError, kindNames, type KindName } from "@skerry/model";
import type { AuditHead, Client } from "@skerry/sdk";
import { exportAudit } from "../audit-export.ts";
import type { CommandDeps } from "../command-deps.ts";
import { auditColumns, type ToldRecord } from "../output/audit-table.ts";
import { openProgress } from "../output/progress.ts";
import { printLines, renderValue } from "../output/render.ts";
import { shownColumns, tableLines } from "../output/table.ts";
import { paint, widthOf } from "../output/terminal.ts";
import { openSession, withConnection } from "../session.ts";
import { toNumber } from "./flag-values.ts";

interface ListFlags {
  readonly limit: number;
  readonly after?: number;
  readonly actor?: string;
  readonly kind?: KindName;
  readonly project?: string;
  readonly since?: string;
  readonly operation?: string;
}

type Found = AuditHead & { readonly record: string };

/** The log of who changed what: shown, kept, and proved whole without any server. */
export function addAuditCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const audit = program.command("audit").description("who changed what, from where and why");

  withConnection(audit.command("list"))
    .description("list records, the newest last; with --project only those that changed something there")
    .option("--limit <n>", "how many at most", toNumber, 50)
    .option("--after <seq>", "from behind this record on; the newest where absent", toNumber)
    .option("--actor <name>", "only what this user, service account or token asked for")
    .addOption(new Option("--kind <kind>", "only what changed an object of this kind").choices(kindNames))
    .option("--since <time>", "only what is as new as this, such as 2026-11-22T10:00:00Z")
    .option("--operation <name>", "the one that submitted this operation")
    .action(async (flags: ListFlags, self: Command) => {
      const { client, output } = await openSession(terminal, self);
      const { found, isPartial } = await find(client, flags, signal);
      if (isPartial)
        terminal.err.write(`Only the newest ${lookedAt} records were looked at; --after 0 goes through all of them.\n`);
      if (output !== "table") {
        const values = found.map(({ hash, record }) => ({ ...(JSON.parse(record) as object), hash }));
        return renderValue(terminal, values, output);
      }
      if (found.length === 0) {
        terminal.err.write("No records.\n");
        return;
      }
      const rows = found.map(({ record }) => JSON.parse(record) as ToldRecord);
      const columns = shownColumns(auditColumns, rows, widthOf(terminal.out));
      printLines(
        terminal,
        tableLines(columns, rows, (text) => paint(terminal.out, "bold", text)),
      );
    });

  withConnection(audit.command("export <file>"))
    .description("write the log into a file that proves itself; a file that is there goes on where it ends")
    .option("--after <seq>", "begin behind this record; at the log's beginning where absent", toNumber)
    .action(async (path: string, { after }: { after?: number }, self: Command) => {
      const { client, output } = await openSession(terminal, self);
      const progress = await openProgress(terminal);
      let result;
      try {
        result = await exportAudit(
          client,
          path,
          after,
          ({ records: done, total }) =>
            progress.update([
              { label: `export ${path}`, state: done < total ? "running" : "done", done, total, unit: "items" },
            ]),
          signal,
        );
      } finally {
        progress.finish();
      }
      if (output !== "table") return renderValue(terminal, result, output);
      const { records, head, start } = result;
      if (after === undefined && start.seq > 0)
        terminal.err.write(
          `The log begins behind record ${start.seq}: older ones are in exports of before a restoration.\n`,
        );
      printLines(terminal, [`${records} records, head ${head.seq}:${head.hash}`]);
    });

  audit
    .command("verify <file>")
    .description("prove an export whole, without a server; what its end lacks shows only beside a later head")
    .option("--head <seq:hash>", "a head that was noted elsewhere: this record has to be in the file, with this hash")
    .action(async (path: string, { head }: { head?: string }) => {
      await verify(path, head === undefined ? undefined : parseHead(head), (line) => printLines(terminal, [line]));
    });
}

/** How many of the newest records the server looks at where it is not told where to begin. */
const lookedAt = 2000;

/** Whatever fits, as many as are asked for; the server looks at a part of the log at a time. */
async function find(
  client: Client,
  flags: ListFlags,
  signal: AbortSignal,
): Promise<{ readonly found: readonly Found[]; readonly isPartial: boolean }> {
  const { limit, after, actor, kind, project, since, operation } = flags;
  const query = { actor, kind, project, since, operation };
  const most = 500;
  const found: Found[] = [];
  let next = after;
  let total = 0;
  do {
    const page = await client.audit({ ...query, after: next, limit: Math.min(most, limit - found.length) }, signal);
    found.push(...page.items);
    next = page.next;
    total = page.head.seq;
  } while (next !== undefined && found.length < limit);
  const isPartial = after === undefined && operation === undefined && found.length < Math.min(limit, most);
  return { found, isPartial: isPartial && total > lookedAt };
}

function parseHead(text: string): AuditHead {
  const [, seq, hash] = /^([0-9]{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw new SkerryError("invalid-request", `"${text}" is not a head.`, {
    remedy:
      "Write it as `skerry audit export` and `skerry audit verify` show it: the record's number, a colon and 64 hexadecimal digits.",
  });
}

/** @throws SkerryError digest-mismatch that names the first bad line, or says that the head is not in the file */
async function verify(path: string, wanted: AuditHead | undefined, tell: (line: string) => void): Promise<void> {
  if (!existsSync(path)) throw new SkerryError("not-found", `There is no file ${path}.`);
  const { verifyExport } = await import("@skerry/server");
  const { records, zoneId, start, head, fault, marked } = await verifyExport(createReadStream(path), wanted?.seq);
  if (fault !== undefined) {
    const good =
      records === 0
        ? ""
        : ` Records ${start.seq + 1} to ${head.seq} before it are whole (head ${head.seq}:${head.hash}).`;
    throw notWhole(`${path}, line ${fault.line}: ${fault.why}.${good}`, { line: fault.line });
  }
  if (wanted !== undefined && marked !== wanted.hash) {
    const { seq } = wanted;
    const what =
      seq > head.seq
        ? `ends at record ${head.seq}, before ${seq}: what came behind is missing`
        : seq < start.seq
          ? `begins behind record ${start.seq}, and so says nothing of ${seq}`
          : `has another record ${seq} than that head's, or another one before it`;
    throw notWhole(`${path} ${what}.`, { seq });
  }
  const told = records === 0 ? "no records" : `records ${start.seq + 1} to ${head.seq}`;
  tell(`whole: ${told} of zone ${zoneId}, head ${head.seq}:${head.hash}`);
}

function notWhole(message: string, facts: Readonly<Record<string, number>>): SkerryError {
  return new SkerryError("digest-mismatch", message, {
    facts,
    remedy: "Keep this file as it is; compare it with another export, or export the log anew and verify that.",
  });
}
