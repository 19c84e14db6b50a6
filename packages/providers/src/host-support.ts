import { SkerryError } from "@skerry/model";
import type { AgentRelease } from "./agent-artifacts.ts";
import type { HostEnrolment, HostFacts } from "./host-facts.ts";
import type { HostTarget } from "./host-target.ts";

/* Whether a host may become a node: pure judgements over its facts, each refusal with its remedy. */

/** Systems on which provisioning is known to work, by os-release's ID and VERSION_ID. */
const supportedSystems: ReadonlyMap<string, readonly string[]> = new Map([
  ["debian", ["12", "13"]],
  ["ubuntu", ["22.04", "24.04"]],
]);

const supportedNames = "Debian 12 or 13, or Ubuntu 22.04 or 24.04";

/** @throws SkerryError host-needs-sudo */
export function requireRootAccess(target: HostTarget, facts: HostFacts): void {
  if (facts.rootAccess === "yes") return;
  const line = `${target.user} ALL=(ALL) NOPASSWD: ALL`;
  const allow = `echo '${line}' > /etc/sudoers.d/skerry && chmod 0440 /etc/sudoers.d/skerry`;
  const missing = facts.rootAccess === "no-sudo";
  throw new SkerryError(
    "host-needs-sudo",
    missing
      ? `The host ${target.address} has no sudo, and ${target.user} is not root.`
      : `The user ${target.user} may not run commands as root on the host ${target.address} without a password.`,
    {
      remedy: `As root on the host: ${missing ? "apt-get install sudo && " : ""}${allow}`,
      facts: { user: target.user, sudoersLine: line },
    },
  );
}

/** The release made for the host. @throws SkerryError host-unsupported */
export function requireSupported(facts: HostFacts, releases: readonly AgentRelease[]): AgentRelease {
  const seen = {
    systemId: facts.systemId,
    systemVersion: facts.systemVersion,
    architecture: facts.architecture,
  };
  const name = facts.systemName === "" ? "an unknown system" : facts.systemName;
  const refuse = (detail: string, remedy: string): never => {
    throw new SkerryError(
      "host-unsupported",
      `The host ${facts.hostname} runs ${name} on ${facts.architecture}: ${detail}. Nothing on it was changed.`,
      {
        remedy,
        facts: seen,
      },
    );
  };
  if (supportedSystems.get(facts.systemId)?.includes(facts.systemVersion) !== true) {
    return refuse("this system is not supported", `Install ${supportedNames} on it.`);
  }
  if (!facts.systemd || !facts.apt) {
    return refuse(
      `it has no ${facts.systemd ? "apt" : "systemd"}`,
      `Use a complete installation of ${supportedNames}, not a container image.`,
    );
  }
  const release = releases.find(({ architecture }) => architecture === facts.architecture);
  if (release !== undefined) return release;
  return refuse(
    "there is no agent for this architecture",
    `Use a host with ${releases.map(({ architecture }) => architecture).join(" or ")}.`,
  );
}

/** Free MiB that are needed below each path. */
export type SpaceNeeds = Readonly<Partial<Record<"/opt" | "/usr" | "/var", number>>>;

/** Sums what is needed on each file system, since several paths may share one. @throws SkerryError host-disk-full */
export function requireSpace(facts: HostFacts, needs: SpaceNeeds): void {
  const mounts = new Map<string, { needed: number; free: number; paths: string[] }>();
  for (const { path, mount, freeMiB } of facts.freeSpace) {
    const needed = Object.entries(needs).find(([key]) => key === path)?.[1] ?? 0;
    const entry = mounts.get(mount) ?? { needed: 0, free: freeMiB, paths: [] };
    mounts.set(mount, {
      needed: entry.needed + needed,
      free: Math.min(entry.free, freeMiB),
      paths: [...entry.paths, path],
    });
  }
  for (const [mount, { needed, free, paths }] of mounts) {
    if (free >= needed) continue;
    throw new SkerryError(
      "host-disk-full",
      `The host ${facts.hostname} has ${free} MiB free on ${mount} (for ${paths.join(", ")}) and needs ${needed} MiB. Nothing on it was changed.`,
      {
        remedy: `Free ${needed - free} MiB there (du -xh ${mount} | sort -h | tail), then run it again.`,
        facts: { mount, freeMiB: free, neededMiB: needed },
      },
    );
  }
}

export interface WantedEnrolment {
  readonly zoneId: string;
  readonly nodeName: string;
  readonly serverUrl: string;
}

/** Whether the agent has joined already. @throws SkerryError host-enrolled-elsewhere */
export function requireOurs(
  hostname: string,
  enrolment: HostEnrolment,
  wanted: WantedEnrolment,
): "joined" | "not-joined" {
  if (enrolment.state === "none") return "not-joined";
  const { zoneId, nodeName, serverUrl, joined } = enrolment;
  // One that was joined by hand is known by its server; the agent itself proves at the next join that this is the same one.
  const sameZone = zoneId === wanted.zoneId || (zoneId === undefined && serverUrl === wanted.serverUrl);
  if (sameZone && nodeName === wanted.nodeName) return joined ? "joined" : "not-joined";
  const where = serverUrl === undefined ? "" : ` (${serverUrl})`;
  const owner = sameZone
    ? `already the node ${nodeName ?? "(unknown)"} of this zone`
    : `${joined ? "enrolled at" : "being made a node of"} another control plane${where}`;
  const undo = joined
    ? "delete the node there, then on the host: sudo systemctl disable --now skerry-agent && sudo rm -rf /etc/skerry /var/lib/skerry (the disks of its instances go with it)"
    : "on the host: sudo rm -rf /etc/skerry";
  throw new SkerryError("host-enrolled-elsewhere", `The host ${hostname} is ${owner}. Nothing on it was changed.`, {
    remedy: `If it should come here: ${undo}`,
    facts: {
      ...(zoneId === undefined ? {} : { zoneId }),
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(serverUrl === undefined ? {} : { serverUrl }),
    },
  });
}
