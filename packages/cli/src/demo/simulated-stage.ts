import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";
import { startSkerry, type OwnProcess } from "./control-plane.ts";
import type { Stage } from "./stage.ts";

const imageBytes = 8 * 1024 * 1024;

/** A stage of agents with simulated drivers, each a process of its own, joined by one-time tokens. */
export function simulatedStage(): Stage {
  const agents: OwnProcess[] = [];
  let folder = "";
  return {
    simulated: true,
    build: async (narrator) => {
      folder = await mkdtemp(join(tmpdir(), "skerry-stage-"));
      await narrator.chapter("A disk image of random bytes, so that a copy can be told from another", () =>
        writeFile(join(folder, "islet.raw"), randomBytes(imageBytes)),
      );
      return { address: "127.0.0.1" };
    },
    imageFile: () => join(folder, "islet.raw"),
    providerSpec: (entry) => Promise.resolve({ driver: "manual", country: entry.country, sovereigntyLevel: 4 }),
    addNode: async (control, entry, index, progress, signal) => {
      const name = `${entry.site}-1`;
      progress.update([{ label: name, state: "running", message: "joins" }]);
      const { secret } = await control.client.put(
        "JoinToken",
        { name },
        { spec: { site: entry.site, node: name } },
        {},
        signal,
      );
      if (secret === undefined) throw new SkerryError("internal", "The join token came without its secret.");
      const tokenFile = join(folder, `${name}.token`);
      await writeFile(tokenFile, secret, { mode: 0o600 });
      const data = join(folder, name);
      agents.push(
        startSkerry(
          [
            "agent",
            "run",
            "--data-dir",
            data,
            "--driver",
            "simulated",
            "--server",
            control.url,
            "--token-file",
            tokenFile,
            "--data-address",
            `127.0.0.1:${17_440 + index}`,
          ],
          join(folder, `${name}.log`),
        ),
      );
      const deadline = performance.now() + 20_000;
      for (;;) {
        const node = (await control.client.listAll("Node", {}, signal)).find(
          (candidate) => candidate.metadata.name === name,
        );
        if (node?.status.connected === true && node.status.facts !== undefined) break;
        if (performance.now() > deadline)
          throw new SkerryError("node-disconnected", `${name} did not connect within 20 s.`, {
            remedy: `Read its log: ${folder}/${name}.log.`,
          });
        await delay(100, undefined, { signal });
      }
      progress.update([{ label: name, state: "done" }]);
    },
    strike: async () => {
      await Promise.all(agents.map((agent) => agent.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
