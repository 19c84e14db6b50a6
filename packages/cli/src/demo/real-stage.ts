import { readFile } from "node:fs/promises";
import type { Testbed } from "@skerry/testbed";
import { fromProblem, SkerryError } from "@skerry/model";
import { openProgress, type ProgressLine } from "../output/progress.ts";
import type { Terminal } from "../output/terminal.ts";
import { stepLines } from "../mutation.ts";
import { testbedProgress, translate } from "../commands/testbed.ts";
import type { Stage } from "./stage.ts";

/** What each look-alike host offers: they all see the whole machine, so that each is told its share. */
const share = { vcpus: 2, memoryMiB: 2048, diskMiB: 8192 };

/** A stage of systemd-nspawn hosts in namespaces, provisioned over SSH, running QEMU guests. */
export function realStage(
  terminal: Terminal,
  folders: { readonly stateDir: string; readonly cacheDir: string },
): Stage {
  let testbed: Testbed | undefined;
  let image: string | undefined;
  // What another process is building, or holds, is not this demo's to take down.
  let ours = false;
  const lines = new Map<number, readonly ProgressLine[]>();
  const optionsOf = (providers: number) => ({ ...folders, providers, nodesPerProvider: 1, wanDelayMs: 10 });
  const hostOf = (index: number) => {
    const host = testbed?.hosts.find((entry) => entry.provider === index + 1);
    if (host === undefined || testbed === undefined)
      throw new SkerryError("internal", `The testbed has no host for provider ${index + 1}.`);
    return { host, testbed };
  };

  return {
    simulated: false,
    build: async (narrator, providers, signal) => {
      const bed = await import("@skerry/testbed");
      await narrator.chapter("Packages that hosts and guests are made of", async (progress) => {
        await translate(() => bed.installPrerequisites(testbedProgress(progress), signal));
      });
      testbed = await narrator.chapter(
        `${providers.length} bare hosts, each in its provider's own network, joined by links with delay`,
        (progress) => {
          const show = testbedProgress(progress);
          const begun: typeof show = (event) => {
            ours = true;
            show(event);
          };
          return translate(() => bed.bringUp(optionsOf(providers.length), begun, signal));
        },
      );
      image = await narrator.chapter("A small guest image, from Debian's kernel and busybox", async (progress) => {
        const built = await translate(() =>
          bed.buildGuestImage({ cacheDir: folders.cacheDir }, testbedProgress(progress), signal),
        );
        return built.path;
      });
      return { address: testbed.controlPlaneAddress };
    },
    imageFile: () => {
      if (image === undefined) throw new SkerryError("internal", "The guest image was not built.");
      return image;
    },
    providerSpec: async (entry) => {
      const { testbed: bed } = hostOf(0);
      return {
        driver: "ssh",
        country: entry.country,
        sovereigntyLevel: 4,
        ssh: { user: bed.sshUser, privateKey: await readFile(bed.sshPrivateKeyPath, "utf8") },
      };
    },
    addNode: async (control, entry, index, progress, signal) => {
      const { host } = hostOf(index);
      const name = `${entry.site}-1`;
      await control.client.put(
        "Node",
        { name },
        {
          spec: {
            site: entry.site,
            address: host.address,
            hostKeyFingerprint: host.hostKeyFingerprint,
            capacityOverride: share,
          },
        },
        {},
        signal,
      );
      const { operation } = await control.client.action("Node", { name }, "provision", {}, {}, signal);
      if (operation === undefined) throw new SkerryError("internal", `Provisioning ${name} started no operation.`);
      const show = (seen: typeof operation) => {
        lines.set(
          index,
          stepLines(seen, Date.now()).map((line) => ({ ...line, label: `${name} ${line.label}` })),
        );
        progress.update([...lines.entries()].toSorted(([a], [b]) => a - b).flatMap(([, entries]) => entries));
      };
      const ended = await control.client.waitForOperation(operation.metadata.name, show, signal);
      show(ended);
      if (ended.status.problem !== undefined) throw fromProblem(ended.status.problem);
    },
    strike: async () => {
      if (!ours) return;
      const { takeDown } = await import("@skerry/testbed");
      const progress = await openProgress(terminal);
      await translate(() => takeDown(optionsOf(testbed?.providers.length ?? 1), testbedProgress(progress))).finally(
        () => progress.finish(),
      );
    },
  };
}
