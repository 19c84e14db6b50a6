import type { Command } from "commander";
import { resolve } from "node:path";
import { readFileSync } from "node:fs";
import { SkerryError } from "@skerry/model";
import { checkServer, chooseContext, readContexts, writeContexts, type Context } from "../contexts.ts";
import { printLines } from "../output/render.ts";
import { tableLines } from "../output/table.ts";
import type { CommandDeps } from "../command-deps.ts";

interface AddOptions {
  readonly server: string;
  readonly tokenFile: string;
  readonly authority?: string;
  readonly project?: string;
}

export function addContextCommands(program: Command, { terminal }: CommandDeps): void {
  const context = program.command("context").description("choose which control plane commands talk to");

  context
    .command("list")
    .description("list the known control planes")
    .action(() => {
      const { contexts, current } = readContexts();
      const rows = Object.entries(contexts);
      if (rows.length === 0)
        terminal.err.write("No contexts. Add one: skerry context add NAME --server URL --token-file FILE\n");
      else
        printLines(
          terminal,
          tableLines<[string, Context]>(
            [
              { title: " ", cell: ([name]) => (name === current ? "*" : " ") },
              { title: "NAME", cell: ([name]) => name },
              { title: "SERVER", cell: ([, entry]) => entry.server },
              { title: "PROJECT", cell: ([, entry]) => entry.project ?? "-" },
            ],
            rows,
          ),
        );
    });

  context
    .command("add <name>")
    .description("remember a control plane and make it the current one")
    .requiredOption("--server <url>", "its https:// address")
    .requiredOption("--token-file <file>", "file that holds the API token")
    .option("--authority <file>", "PEM of the control plane's own authority (<data>/pki/ca.pem)")
    .option("--project <name>", "project for commands that name none")
    .action((name: string, options: AddOptions) => {
      checkServer(options.server);
      readToken(resolve(options.tokenFile));
      const contexts = readContexts();
      const entry: Context = {
        server: options.server.replace(/\/+$/, ""),
        tokenFile: resolve(options.tokenFile),
        ...(options.authority === undefined ? {} : { authorityFile: resolve(options.authority) }),
        ...(options.project === undefined ? {} : { project: options.project }),
      };
      writeContexts({ current: name, contexts: { ...contexts.contexts, [name]: entry } });
      terminal.err.write(`context ${name} added; commands talk to ${entry.server} now\n`);
    });

  context
    .command("use <name>")
    .description("make a known control plane the current one")
    .action((name: string) => {
      const contexts = readContexts();
      chooseContext(contexts, name);
      writeContexts({ ...contexts, current: name });
    });

  context
    .command("remove <name>")
    .description("forget a control plane; its token file stays")
    .action((name: string) => {
      const contexts = readContexts();
      chooseContext(contexts, name);
      const { [name]: _removed, ...others } = contexts.contexts;
      const current = contexts.current === name ? undefined : contexts.current;
      writeContexts({ contexts: others, ...(current === undefined ? {} : { current }) });
    });
}

/** The API token in a file. @throws SkerryError unauthenticated where there is none */
export function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new SkerryError("unauthenticated", `The token file ${path} cannot be read.`, {
      remedy:
        "The server writes the administrator's token to admin.token in its data directory at its first start; read it as that user.",
      cause: error,
    });
  }
}
