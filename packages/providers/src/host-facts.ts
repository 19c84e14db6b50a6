import type { Capacity } from "@skerry/model";
import type { ScriptAnswer } from "./remote-script.ts";

/** Free space below one path; `mount` tells which paths share it. */
export interface FreeSpace {
  readonly path: string;
  readonly mount: string;
  readonly freeMiB: number;
}

/** What a host is, before anything on it is changed. */
export interface HostFacts {
  readonly hostname: string;
  /** For example `debian`, `12`, `Debian GNU/Linux 12 (bookworm)`; empty where the host does not tell. */
  readonly systemId: string;
  readonly systemVersion: string;
  readonly systemName: string;
  readonly kernel: string;
  /** As `uname -m` prints it. */
  readonly architecture: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly freeSpace: readonly FreeSpace[];
  readonly virtualisation: {
    /** Whether /dev/kvm is there; only booting a guest proves that it works, and the agent does that. */
    readonly kvmDevice: boolean;
    readonly cpuExtension?: "vmx" | "svm";
    /** Whether user-space WireGuard and guests' interfaces have what they need. */
    readonly tunDevice: boolean;
    /** What the host itself runs in, for example `kvm` or `systemd-nspawn`; absent on bare metal. */
    readonly within?: string;
  };
  readonly rootAccess: "yes" | "refused" | "no-sudo";
  readonly apt: boolean;
  readonly systemd: boolean;
}

/** Which control plane a host belongs to, as far as the host knows. */
export type HostEnrolment =
  | { readonly state: "none" }
  /** `joined` is false where an installation was cut before the agent had joined; an agent that was joined by hand knows no zone. */
  | {
      readonly state: "configured";
      readonly joined: boolean;
      readonly zoneId?: string;
      readonly nodeName?: string;
      readonly serverUrl?: string;
    };

/** What of Skerry is on a host. */
export interface HostState {
  readonly installedPackages: ReadonlySet<string>;
  readonly enrolment: HostEnrolment;
  /** Digest of the release that the agent runs. */
  readonly release?: string;
}

/** What the host could offer to instances. */
export function hostCapacity(facts: HostFacts): Capacity {
  const guests = facts.freeSpace.find((space) => space.path === "/var");
  return { vcpus: facts.cores, memoryMiB: facts.memoryMiB, diskMiB: guests?.freeMiB ?? 0 };
}

/** Reads the answer of the script `facts`; a host may say anything, so that every value is bounded. */
export function readHostFacts({ values, all }: ScriptAnswer): HostFacts {
  const word = (key: string): string => printable(values.get(key) ?? "");
  const extension = word("cpu-extension");
  const within = word("virtualised-by");
  const root = word("root");
  return {
    hostname: word("hostname"),
    systemId: word("os-id"),
    systemVersion: word("os-version"),
    systemName: word("os-name"),
    kernel: word("kernel"),
    architecture: word("architecture"),
    cores: wholeNumber(word("cores")),
    memoryMiB: Math.floor(wholeNumber(word("memory-kib")) / 1024),
    freeSpace: all.filter(([key]) => key === "disk").flatMap(([, value]) => readFreeSpace(value)),
    virtualisation: {
      kvmDevice: values.has("kvm-device"),
      tunDevice: values.has("tun-device"),
      ...(extension === "vmx" || extension === "svm" ? { cpuExtension: extension } : {}),
      ...(within === "" || within === "none" ? {} : { within }),
    },
    rootAccess: root === "yes" || root === "no-sudo" ? root : "refused",
    apt: values.has("apt"),
    systemd: values.has("systemd"),
  };
}

/** Reads the answer of the script `state`. */
export function readHostState({ values, all }: ScriptAnswer): HostState {
  const release = values.get("release");
  const packages = all
    .filter(([key]) => key === "package")
    .map(([, value]) => value.split(" "))
    .flatMap(([name = "", status]) => (status === "installed" ? [name] : []));
  return {
    installedPackages: new Set(packages),
    enrolment: readEnrolment(values.get("config"), values.get("identity")),
    ...(release === undefined ? {} : { release: printable(release) }),
  };
}

function readEnrolment(configBase64: string | undefined, identityBase64: string | undefined): HostEnrolment {
  if (configBase64 === undefined && identityBase64 === undefined) return { state: "none" };
  const config = parseObject(configBase64);
  const identity = parseObject(identityBase64);
  const text = (value: unknown): string | undefined => (typeof value === "string" ? printable(value) : undefined);
  const zoneId = text(config["zoneId"]);
  const nodeName = text(identity["nodeName"]) ?? text(config["nodeName"]);
  const serverUrl = text(identity["server"]) ?? text(config["serverUrl"]);
  return {
    state: "configured",
    joined: identityBase64 !== undefined,
    ...(zoneId === undefined ? {} : { zoneId }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(serverUrl === undefined ? {} : { serverUrl }),
  };
}

/** An unreadable file says nothing, which counts as another's. */
function parseObject(base64: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64 ?? "", "base64").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    // Not JSON: see above.
    return {};
  }
}

function readFreeSpace(value: string): readonly FreeSpace[] {
  const match = /^(\/[a-z]+) (\d{1,15}) (\/.*)$/.exec(value);
  if (match === null) return [];
  const [, path = "", free = "", mount = ""] = match;
  return [{ path, mount: printable(mount), freeMiB: Math.floor(Number(free) / 1024) }];
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e\u00a0-\uffff]/g, "").slice(0, 200);
}
