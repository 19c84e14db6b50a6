import type { Client, ResourceKey } from "@skerry/sdk";

/** A root shell on a guest's serial console, as the islet has one; one command at a time. */
export interface SerialShell {
  /** What a command printed, less the line that typed it. @throws where it exits with anything but 0, or within no 30 s */
  run(command: string): Promise<string>;
  close(): void;
}

const answerMs = 30_000;

export async function openSerialShell(client: Client, key: ResourceKey): Promise<SerialShell> {
  const stream = await client.openConsole(key, AbortSignal.timeout(answerMs));
  const writer = stream.writable.getWriter();
  const reader = stream.readable.pipeThrough(new TextDecoderStream()).getReader();
  let count = 0;
  let text = "";
  return {
    async run(command) {
      count += 1;
      text = "";
      const limit = setTimeout(() => stream.close(), answerMs);
      // The shell puts the two halves together; the echo of what is typed shows them apart.
      await writer.write(new TextEncoder().encode(`${command}; echo "en""d${count}:$?"\n`));
      const end = new RegExp(`^end${count}:(\\d+)\\r?$`, "m");
      for (;;) {
        const found = end.exec(text);
        if (found !== null) {
          clearTimeout(limit);
          if (found[1] !== "0") throw new Error(`${command} exited with ${found[1]}: ${text}`);
          // What was typed before the prompt is echoed twice: as it came, and behind the prompt.
          const echo = text.lastIndexOf(`"en""d${count}`);
          return text
            .slice(text.indexOf("\n", echo) + 1, found.index)
            .replaceAll("\r", "")
            .trim();
        }
        const { done, value } = await reader.read();
        if (done) throw new Error(`the serial console ended before ${command} did: ${text}`);
        text += value;
      }
    },
    close: () => stream.close(),
  };
}
