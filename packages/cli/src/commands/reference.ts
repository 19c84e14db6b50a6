import { Argument, type Command } from "commander";
import { SkerryError, isKindName, kindNames, kindWord, kinds, type KindName } from "@skerry/model";
import { completionScript, shells, type Shell } from "../completion.ts";
import { fieldColumns, fieldsOf } from "../explain.ts";
import { printLines } from "../output/render.ts";
import { tableLines } from "../output/table.ts";
import { paint } from "../output/terminal.ts";
import type { CommandDeps } from "../command-deps.ts";

/** Commands about Skerry itself: what a kind's fields are, and completion for shells. */
export function addReferenceCommands(program: Command, { terminal }: CommandDeps): void {
  program
    .command("explain <kind>")
    .description("list the fields of a kind's spec, from its schema")
    .action((word: string) => {
      printLines(
        terminal,
        tableLines(fieldColumns, fieldsOf(kindOfWord(word)), (text) => paint(terminal.out, "bold", text)),
      );
    });

  program
    .command("completion")
    .description("print a completion script: source <(skerry completion bash)")
    .addArgument(new Argument("<shell>").choices(shells))
    .action((shell: Shell) => {
      terminal.out.write(completionScript(program, shell));
    });
}

/** A kind from what people type: `Instance`, `instance` or `instances`. */
function kindOfWord(word: string): KindName {
  const found = kindNames.find((name) =>
    isKindName(word) ? name === word : kinds[name].plural === word || kindWord(name) === word.toLowerCase(),
  );
  if (found !== undefined) return found;
  throw new SkerryError("invalid-request", `There is no kind ${word}.`, {
    remedy: `One of: ${kindNames.map(kindWord).join(", ")}.`,
  });
}
