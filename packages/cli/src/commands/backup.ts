import { resolve } from "node:path";
import type { Command } from "commander";
import type { CommandDeps } from "../command-deps.ts";
import { printLines, renderValue, type OutputFormat } from "../output/render.ts";
import { openSession, withConnection, type ConnectionOptions } from "../session.ts";
import { defaultServerDataDir } from "./server.ts";

interface Summary {
  readonly objects: number;
  readonly images: number;
  readonly revision: number;
  readonly createdAt: string;
}

interface BackupFlags extends ConnectionOptions {
  readonly dataDir: string;
  readonly imagesDir?: string;
  readonly store?: string;
}

/** Online backups of a control plane: made beside the server, since its keys never leave the machine by network. */
export function addBackupCommand(program: Command, { terminal, signal }: CommandDeps): void {
  const backup = program.command("backup").description("keep a control plane: its state, keys and images");
  const tell = async (what: string, folder: string, summary: Summary, output: OutputFormat = "table") => {
    if (output !== "table") return renderValue(terminal, summary, output);
    const { objects, images, revision, createdAt } = summary;
    printLines(terminal, [
      `${what} ${folder}: ${objects} objects, ${images} images, revision ${revision}, of ${createdAt}`,
    ]);
  };

  withConnection(backup.command("create <folder>"))
    .description("back up the running control plane, without stopping it")
    .option("--data-dir <dir>", "the server's, for its keys and images", defaultServerDataDir())
    .option("--images-dir <dir>", "where images are, if not in the data directory")
    .action(async (folder: string, flags: BackupFlags, command: Command) => {
      const { writeBackupFolder } = await import("@skerry/server");
      const { client, output } = await openSession(terminal, command);
      const { dataDir, imagesDir } = flags;
      const state = await client.openBackup(signal);
      await tell("wrote", folder, await writeBackupFolder(resolve(folder), { state, dataDir, imagesDir }), output);
      terminal.err.write("Who has this folder can act as the control plane: keep it as secret as its keys.\n");
    });

  backup
    .command("verify <folder>")
    .description("read a backup and check every byte of it")
    .action(async (folder: string) => {
      const { readBackupFolder, summaryOf } = await import("@skerry/server");
      await tell("whole:", folder, summaryOf(await readBackupFolder(resolve(folder))));
    });

  backup
    .command("restore <folder>")
    .description(
      "make a control plane of a backup, in an empty data directory; start it with `skerry server` afterwards",
    )
    .requiredOption("--data-dir <dir>", "where it is to live")
    .option("--store <postgres-url>", "an empty PostgreSQL database instead of a file in the data directory")
    .option("--images-dir <dir>", "where images are to be, if not in the data directory")
    .action(async (folder: string, { dataDir, store, imagesDir }: BackupFlags) => {
      const { restoreBackupFolder } = await import("@skerry/server");
      await tell(
        "restored",
        folder,
        await restoreBackupFolder(resolve(folder), { dataDir: resolve(dataDir), store, imagesDir }),
      );
      terminal.err.write("Tokens of the old server stay valid.\n");
    });
}
