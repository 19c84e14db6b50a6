import type { Command } from "commander";
import { SkerryError, replaceAfterSeconds, specParser, type OnDisconnect } from "@skerry/model";
import { given, readFlagFile, toNumber, type DraftFlags } from "./flag-values.ts";
import { labelsOf } from "./labels.ts";

const parse = specParser("Instance");

/** The flags of `skerry instance create`: what matters first, the guest's own make-up after. */
export const instanceFlags: DraftFlags<"Instance"> = {
  declare: (command: Command) => {
    command
      .requiredOption("--image <image>", "NAME, or PROJECT/NAME where shared")
      .option("--vcpus <n>", "virtual processors", toNumber, 1)
      .option("--memory <MiB>", "memory", toNumber, 512)
      .option("--disk <MiB>", "root disk; the image's own size where absent", toNumber)
      .option("--gpu <n>", "GPUs of its node for itself", toNumber)
      .option("--gpu-model <model>", "with --gpu: only of this model, as lspci -nn shows it: 10de:20b0")
      .option("--pci <model=number...>", "other devices of its node for itself: 8086:1572=1")
      .option("--network <name...>", "networks to join, an address on each")
      .option("--ssh-key <file...>", "public keys that may sign in")
      .option("--user-data <file>", "cloud-init user data")
      .option("--stopped", "make it, do not start it")
      .option("--health <check>", "http:PORT/PATH or tcp:PORT: how to tell that it serves")
      .option(
        "--on-disconnect <policy>",
        "keep, or after how long without its node it starts anew elsewhere: 90s, 5m, 2h",
      )
      .option("--country <code...>", "only in these countries")
      .option("--jurisdiction <code...>", "only under these laws")
      .option("--provider <name...>", "only at these providers")
      .option("--site <name...>", "only at these sites")
      .option("--node <name...>", "only on these nodes")
      .option("--tier <tier...>", "only at sites of these tiers")
      .option("--min-sovereignty <level>", "0 to 4", toNumber)
      .option("--node-label <key=value...>", "only on nodes with these labels")
      .option("--residency <code...>", "its data stays in these countries, and under their law")
      .option("--tolerate <taint...>", "nodes with these taints do not keep it out")
      .option(
        "--affinity <term...>",
        "where others of the project with these labels are, or not: with:site:app=cache, apart:node:app=db,tier=x; softly with a cost: apart:site:app=db:0.5",
      )
      .option("--max-latency <place=ms...>", "at most so far from a place: madrid=20")
      .option("--weight <what=number...>", "what makes a node better: spread, pack, price, carbon, latency; carbon=1");
  },
  spec: async (options) => {
    const keys = await Promise.all(
      ((options["sshKey"] as readonly string[] | undefined) ?? []).map((path) => readFlagFile(path, "--ssh-key")),
    );
    const userData = options["userData"] as string | undefined;
    const placement = given({
      countries: options["country"],
      jurisdictions: options["jurisdiction"],
      providers: options["provider"],
      sites: options["site"],
      nodes: options["node"],
      tiers: options["tier"],
      minSovereigntyLevel: options["minSovereignty"],
      labels: options["nodeLabel"] === undefined ? undefined : labelsOf(options["nodeLabel"] as readonly string[]),
      residency: options["residency"],
      tolerations: options["tolerate"],
      affinity: (options["affinity"] as readonly string[] | undefined)?.map(affinityTerm),
      maxLatency: (options["maxLatency"] as readonly string[] | undefined)?.map(latencyLimit),
      weights: weightsOf(options["weight"] as readonly string[] | undefined),
    });
    return parse(
      given({
        image: options["image"],
        vcpus: options["vcpus"],
        memoryMiB: options["memory"],
        diskMiB: options["disk"],
        networks: options["network"],
        devices: devicesOf(options),
        sshKeys:
          keys.length === 0
            ? undefined
            : keys.flatMap((text) =>
                text
                  .split("\n")
                  .map((line) => line.trim())
                  .filter((line) => line !== "" && !line.startsWith("#")),
              ),
        userData: userData === undefined ? undefined : await readFlagFile(userData, "--user-data"),
        power: options["stopped"] === true ? "stopped" : undefined,
        healthCheck: typeof options["health"] === "string" ? healthCheck(options["health"]) : undefined,
        onDisconnect: typeof options["onDisconnect"] === "string" ? onDisconnect(options["onDisconnect"]) : undefined,
        placement: Object.keys(placement).length === 0 ? undefined : placement,
      }),
    );
  },
};

/** Of --gpu, --gpu-model and --pci; undefined where none is given. */
function devicesOf(options: Readonly<Record<string, unknown>>): readonly Record<string, unknown>[] | undefined {
  const { gpu: count, gpuModel: model, pci = [] } = options;
  if (count === undefined && model !== undefined)
    throw new SkerryError("invalid-request", "--gpu-model says which GPUs, and not how many.", {
      remedy: "Add --gpu NUMBER.",
    });
  const others = Object.entries(labelsOf(pci as readonly string[])).map(([model, number]) => ({
    ...{ kind: "pci", model },
    count: number === "" ? number : Number(number),
  }));
  const wishes = [...(count === undefined ? [] : [given({ kind: "gpu", count, model })]), ...others];
  return wishes.length === 0 ? undefined : wishes;
}

/** `http:80/ready` or `tcp:5432`. */
export function healthCheck(text: string): Record<string, unknown> {
  const match = /^(http|tcp):(\d{1,5})(\/.*)?$/.exec(text);
  if (match === null)
    throw new SkerryError("invalid-request", `--health: "${text}" is not a check.`, {
      remedy: "Write http:PORT/PATH or tcp:PORT, for example http:80/.",
    });
  const [, kind, port, path] = match;
  return given({ kind, port: Number(port), path });
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `keep`, or `90s`, `5m`, `2h`. */
export function onDisconnect(text: string): OnDisconnect {
  if (text === "keep") return text;
  const [, count, unit = ""] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * (secondsOf[unit] ?? Number.NaN);
  const { minimum, maximum } = replaceAfterSeconds;
  if (seconds >= minimum && seconds <= maximum) return { replaceAfterSeconds: seconds };
  throw new SkerryError("invalid-request", `--on-disconnect: "${text}" is neither keep nor a time.`, {
    remedy: `Write keep, or a time from ${minimum}s to ${maximum / 3600}h, for example 90s.`,
  });
}

/** `apart:node:app=db,tier=x` and, softly, `with:site:app=cache:0.5`; what may stand where is the schema's to say. */
function affinityTerm(text: string): Record<string, unknown> {
  const [relation, by, labels, weight, ...more] = text.split(":");
  if (labels === undefined || more.length > 0)
    throw new SkerryError("invalid-request", `--affinity: "${text}" is not a term.`, {
      remedy: "Write with or apart, then node, site, provider or country, then labels: apart:node:app=db",
    });
  return given({
    relation,
    by,
    labels: labelsOf(labels.split(",")),
    weight: weight === undefined ? undefined : Number(weight),
  });
}

/** `carbon=1` and the like; which there are is the schema's to say. */
function weightsOf(texts: readonly string[] | undefined): Record<string, unknown> | undefined {
  if (texts === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(labelsOf(texts)).map(([what, number]) => [what, number === "" ? number : Number(number)]),
  );
}

/** `madrid=20`, or `40.4,-3.7=20`: at most 20 ms of round trip from there. */
export function latencyLimit(text: string): Record<string, unknown> {
  const match = /^(.+)=(\d+(?:\.\d+)?)$/.exec(text);
  if (match === null)
    throw new SkerryError("invalid-request", `--max-latency: "${text}" is not a limit.`, {
      remedy: "Write PLACE=MILLISECONDS, for example madrid=20 or 40.4,-3.7=20.",
    });
  const [, from = "", milliseconds] = match;
  const coordinates = /^(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)$/.exec(from);
  return {
    from: coordinates === null ? from : { latitude: Number(coordinates[1]), longitude: Number(coordinates[2]) },
    milliseconds: Number(milliseconds),
  };
}
