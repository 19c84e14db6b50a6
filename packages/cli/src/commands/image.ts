import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { SkerryError } from "@skerry/model";
import { uploadImageFile } from "../image-upload.ts";
import { renderValue } from "../output/render.ts";
import { openSession, withConnection, withReason } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";

/** What can be done with an image beyond what every kind has. */
export function addImageCommands(program: Command, { terminal, signal }: CommandDeps): void {
  const image = program.commands.find((command) => command.name() === "image");
  if (image === undefined) throw new Error("the kind commands come first");

  withReason(withConnection(image.command("upload <name>")))
    .description("upload an image's content again, after an upload that failed")
    .requiredOption("--file <file>", "the file that the image was created from")
    .action(async (name: string, { file }: { file: string }, self: Command) => {
      const session = await openSession(terminal, self);
      const key = session.key("Image", name);
      const declared = await session.client.get("Image", key, signal);
      await checkSize(file, declared.spec.sizeBytes);
      const uploaded = await uploadImageFile(terminal, session.client, key, declared, file, signal);
      if (session.output !== "table") return renderValue(terminal, uploaded, session.output);
      terminal.err.write(`image ${uploaded.metadata.name} is ready\n`);
    });
}

/** Says before anything is sent that it is another file. @throws SkerryError invalid-request */
async function checkSize(file: string, sizeBytes: number): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    throw new SkerryError("invalid-request", `--file: ${file} cannot be read.`, {
      remedy: "Check the path and its permissions.",
      cause: error,
    });
  });
  if (found.size === sizeBytes) return;
  throw new SkerryError(
    "digest-mismatch",
    `The image was created from a file of ${sizeBytes} bytes, and ${file} has ${found.size}.`,
    { remedy: "Give the file that it was created from, or delete the image and create it from this one." },
  );
}
