import {
  deviceKinds,
  devicesOf,
  type Condition,
  type DeviceWish,
  type KindName,
  type QuotaField,
  type ResourceOf,
} from "@skerry/model";
import { formatAge, formatBytes } from "./duration.ts";
import { paint, type Terminal } from "./terminal.ts";
import type { Column } from "./table.ts";

type Columns<K extends KindName> = readonly Column<ResourceOf<K>>[];
export type ColumnTable = { readonly [K in KindName]: Columns<K> };

/** What `list` shows of each kind, left to right; of every project, names mean little without their project, which then stays. */
export function columnTable(terminal: Terminal, nowMs: number, everyProject = false): ColumnTable {
  const state = (word: string) => paintState(terminal, word);
  const name = { title: "NAME", cell: (row: { metadata: { name: string } }) => row.metadata.name };
  const project = {
    title: "PROJECT",
    ...(everyProject ? {} : { drop: 6 }),
    cell: (row: { metadata: { project?: string } }) => row.metadata.project ?? "-",
  };
  const age = {
    title: "AGE",
    drop: 3,
    align: "right" as const,
    cell: (row: { metadata: { createdAt: string } }) => formatAge(row.metadata.createdAt, nowMs),
  };
  const cordoned = {
    title: "CORDONED",
    sparse: true,
    cell: (row: { spec: { schedulable?: boolean } }) =>
      row.spec.schedulable === false ? paint(terminal.out, "yellow", "yes") : "-",
  };
  const condition = {
    title: "CONDITION",
    sparse: true,
    // Each as its one word; `show` has the sentences.
    cell: ({ status }: { status: Seen }) =>
      troublesOf(status)
        .map(({ type, reason }) => (type === "Reachable" ? `${reason} ${formatAge(status.seenAt, nowMs)}` : reason))
        .map((words) => paint(terminal.out, "red", words))
        .join(", ") || "-",
  };
  // What a node said before it fell silent is neither good nor bad news.
  const stale = ({ status }: { status: Seen }) => troublesOf(status).some(({ type }) => type === "Reachable");
  const seenState = (row: { status: Seen }, word: string) => (stale(row) ? word : state(word));
  return {
    Organisation: [
      name,
      { title: "DISPLAY NAME", drop: 4, cell: (row) => row.spec.displayName ?? "-" },
      ...usageColumns,
      age,
    ],
    Project: [name, { title: "ORGANISATION", cell: (row) => row.spec.organisation }, ...usageColumns, age],
    Provider: [
      name,
      { title: "DRIVER", cell: (row) => row.spec.driver },
      { title: "COUNTRY", cell: (row) => row.spec.country },
      { title: "LAW OF", cell: (row) => row.spec.jurisdiction ?? row.spec.country },
      { title: "SOVEREIGNTY", drop: 2, align: "right", cell: (row) => String(row.spec.sovereigntyLevel ?? "-") },
      age,
      cordoned,
    ],
    Site: [
      name,
      { title: "PROVIDER", cell: (row) => row.spec.provider },
      { title: "COUNTRY", cell: (row) => row.spec.country },
      { title: "CITY", drop: 3, cell: (row) => row.spec.city ?? "-" },
      { title: "TIER", cell: (row) => row.spec.tier },
      { title: "g CO2/kWh", drop: 1, align: "right", cell: (row) => String(row.spec.carbonGramsPerKWh ?? "-") },
      age,
      cordoned,
    ],
    Node: [
      name,
      { title: "SITE", cell: (row) => row.spec.site },
      { title: "LINK", cell: (row) => state(row.status.connected ? "connected" : "disconnected") },
      { title: "DRIVER", drop: 2, cell: (row) => row.status.facts?.driver ?? "-" },
      { title: "ACCELERATOR", drop: 4, cell: (row) => row.status.facts?.accelerator ?? "-" },
      { title: "VCPUS", drop: 5, align: "right", cell: (row) => String(row.status.facts?.capacity.vcpus ?? "-") },
      { title: "MEMORY", drop: 6, align: "right", cell: (row) => mebibytes(row.status.facts?.capacity.memoryMiB) },
      { title: "DEVICES", sparse: true, cell: (row) => deviceWords(row.status.facts?.devices) },
      { title: "SEEN", align: "right", cell: (row) => formatAge(row.status.seenAt, nowMs) },
      age,
      cordoned,
      condition,
    ],
    Image: [
      name,
      project,
      { title: "STATE", cell: (row) => state(row.status.state) },
      { title: "FORMAT", drop: 4, cell: (row) => row.spec.format },
      { title: "SIZE", align: "right", cell: (row) => formatBytes(row.spec.sizeBytes) },
      { title: "DIGEST", drop: 1, cell: (row) => row.spec.digest.slice(0, 19) },
      age,
    ],
    Volume: [
      name,
      project,
      { title: "STATE", cell: (row) => seenState(row, row.status.state) },
      { title: "SIZE", drop: 4, align: "right", cell: (row) => mebibytes(row.spec.sizeMiB) },
      { title: "INSTANCE", cell: (row) => row.spec.instance ?? "-" },
      { title: "NODE", cell: (row) => row.assignment?.node ?? "-" },
      { title: "EPOCH", drop: 1, align: "right", cell: (row) => String(row.assignment?.epoch ?? "-") },
      age,
      condition,
    ],
    Network: [
      name,
      project,
      { title: "CIDR", cell: (row) => row.spec.cidr },
      { title: "EGRESS", cell: (row) => ((row.spec.egress ?? false) ? "yes" : "no") },
      { title: "LEASES", drop: 2, align: "right", cell: (row) => String(row.status.leased ?? 0) },
      age,
    ],
    Instance: [
      name,
      project,
      { title: "STATE", cell: (row) => seenState(row, row.status.state) },
      { title: "HEALTH", drop: 7, cell: (row) => seenState(row, row.status.health) },
      { title: "PROVIDER", ...(everyProject ? { drop: 9 } : {}), cell: (row) => row.status.provider ?? "-" },
      { title: "SITE", drop: 8, cell: (row) => row.status.site ?? "-" },
      { title: "NODE", cell: (row) => row.assignment?.node ?? "-" },
      { title: "ADDRESS", cell: (row) => row.status.addresses.map((entry) => entry.address).join(" ") || "-" },
      { title: "VCPUS", drop: 1, align: "right", cell: (row) => String(row.spec.vcpus) },
      { title: "MEMORY", drop: 2, align: "right", cell: (row) => mebibytes(row.spec.memoryMiB) },
      { title: "DEVICES", sparse: true, cell: (row) => deviceWords(row.spec.devices) },
      { title: "SEEN", drop: 5, align: "right", cell: (row) => formatAge(row.status.seenAt, nowMs) },
      age,
      condition,
    ],
    Operation: [
      name,
      { title: "TYPE", drop: 4, cell: (row) => row.spec.type },
      { title: "TARGET", cell: (row) => row.spec.targets[0]?.name ?? "-" },
      { title: "STATE", cell: (row) => state(row.status.state) },
      { title: "STEP", cell: (row) => row.status.steps.find((step) => step.state === "running")?.name ?? "-" },
      { title: "ACTOR", drop: 1, cell: (row) => row.spec.actor },
      age,
    ],
    JoinToken: [
      name,
      { title: "SITE", cell: (row) => row.spec.site },
      { title: "USED BY", cell: (row) => row.status.usedBy ?? "-" },
      { title: "EXPIRES", cell: (row) => row.status.expiresAt ?? "-" },
      age,
    ],
    ApiToken: [
      name,
      { title: "OWNER", drop: 1, cell: (row) => (row.spec.owner === undefined ? "-" : subjectWords(row.spec.owner)) },
      { title: "ROLE", cell: (row) => row.spec.role ?? "(its owner's)" },
      { title: "PROJECT", cell: (row) => row.spec.project ?? "(all)" },
      { title: "EXPIRES", cell: (row) => row.status.expiresAt ?? "never" },
      age,
    ],
    User: [
      name,
      { title: "NAME IN FULL", cell: (row) => row.spec.displayName ?? "-" },
      { title: "E-MAIL", drop: 1, cell: (row) => row.spec.email ?? "-" },
      { title: "STATE", cell: (row) => (row.spec.disabled === true ? "disabled" : "enabled") },
      age,
    ],
    Group: [name, { title: "MEMBERS", cell: (row) => someOf(row.spec.members) }, age],
    ServiceAccount: [
      name,
      project,
      { title: "STATE", cell: (row) => (row.spec.disabled === true ? "disabled" : "enabled") },
      { title: "DESCRIPTION", drop: 1, cell: (row) => row.spec.description ?? "-" },
      age,
    ],
    Role: [name, { title: "DESCRIPTION", cell: (row) => row.spec.description ?? "-" }, age],
    RoleBinding: [
      name,
      { title: "ROLE", cell: (row) => row.spec.role },
      { title: "WHERE", cell: (row) => scopeWords(row.spec) },
      { title: "WHO", cell: (row) => someOf(row.spec.subjects.map(subjectWords)) },
      age,
    ],
    IdentityProvider: [
      name,
      { title: "ISSUER", cell: (row) => row.spec.issuer },
      { title: "CLIENT", drop: 1, cell: (row) => row.spec.clientId },
      { title: "GROUPS", drop: 2, cell: (row) => someOf((row.spec.groups ?? []).map(({ group }) => group)) },
      { title: "STATE", cell: (row) => (row.spec.disabled === true ? "disabled" : "enabled") },
      age,
    ],
    DisruptionBudget: [
      name,
      project,
      { title: "SELECTOR", drop: 1, cell: (row) => labelWords(row.spec.selector) },
      { title: "MAX UNAVAILABLE", align: "right", cell: (row) => String(row.spec.maxUnavailable) },
      { title: "INSTANCES", align: "right", cell: (row) => String(row.status.instances ?? "-") },
      { title: "UNAVAILABLE", align: "right", cell: (row) => String(row.status.unavailable ?? "-") },
      { title: "ALLOWED", align: "right", cell: (row) => String(row.status.allowed ?? "-") },
      age,
    ],
    Meter: [
      name,
      project,
      { title: "MONTH", cell: (row) => row.spec.month },
      { title: "SITES", cell: (row) => row.status.sites.map(({ site }) => site).join(" ") || "-" },
      age,
    ],
  };
}

/** `2 gpu, 1 pci`. */
function deviceWords(devices: readonly DeviceWish[] = []): string {
  const words = deviceKinds.map((kind) => [devicesOf(kind, devices), kind] as const);
  return words.flatMap(([count, kind]) => (count === 0 ? [] : [`${count} ${kind}`])).join(", ") || "-";
}

/** What there is, and of how much. */
const usageColumns: readonly Column<ResourceOf<"Project" | "Organisation">>[] = [
  usageColumn("INSTANCES", "instances", 9, String),
  usageColumn("VCPUS", "vcpus", 8, String),
  usageColumn("MEMORY", "memoryMiB", 7, mebibytes),
  usageColumn("STORAGE", "storageMiB", 6, mebibytes),
  usageColumn("ADDRESSES", "addresses", 5, String),
  usageColumn("GPUS", "gpus", 4, String),
];

function usageColumn(
  title: string,
  field: QuotaField,
  drop: number,
  words: (amount: number) => string,
): Column<ResourceOf<"Project" | "Organisation">> {
  return {
    ...{ title, drop, align: "right" },
    cell: ({ spec, status }) => {
      const [used, limit] = [status.usage?.[field], spec.quota?.[field]];
      return `${used === undefined ? "-" : words(used)}${limit === undefined ? "" : ` / ${words(limit)}`}`;
    },
  };
}

function labelWords(labels: Readonly<Record<string, string>> | undefined): string {
  return (
    Object.entries(labels ?? {})
      .map(([label, value]) => `${label}=${value}`)
      .join(",") || "(all)"
  );
}

/** The first few, and how many more. */
function someOf(words: readonly string[]): string {
  const more = words.length > 3 ? ` +${words.length - 3}` : "";
  return words.slice(0, 3).join(" ") + more || "-";
}

function subjectWords({
  kind,
  name,
  project,
}: {
  readonly kind: string;
  readonly name: string;
  readonly project?: string;
}): string {
  const noun = kind === "ServiceAccount" ? "service-account" : kind.toLowerCase();
  return `${noun}/${project === undefined ? "" : `${project}/`}${name}`;
}

function scopeWords({ project, organisation, provider }: ResourceOf<"RoleBinding">["spec"]): string {
  if (project !== undefined) return `project/${project}`;
  if (organisation !== undefined) return `organisation/${organisation}`;
  return provider === undefined ? "(the zone)" : `provider/${provider}`;
}

function mebibytes(value: number | undefined): string {
  return value === undefined ? "-" : formatBytes(value * 1024 * 1024);
}

/** Whether it is the presence or the absence of a condition that is trouble. */
const troubleWhen: Readonly<Record<string, readonly Condition["state"][]>> = {
  Failing: ["true"],
  Strangers: ["true"],
  Overlay: ["false"],
  Replacing: ["false"],
  Reachable: ["false", "unknown"],
};

/** What is known of an object, and as of when. */
interface Seen {
  readonly conditions: readonly Condition[];
  readonly seenAt?: string;
}

function troublesOf({ conditions }: Seen): readonly Condition[] {
  return conditions.filter(({ type, state }) => troubleWhen[type]?.includes(state) === true);
}

const good = new Set(["running", "healthy", "ready", "connected", "succeeded"]);
const bad = new Set(["failed", "unhealthy", "disconnected", "cancelled"]);

function paintState(terminal: Terminal, word: string): string {
  if (good.has(word)) return paint(terminal.out, "green", word);
  if (bad.has(word)) return paint(terminal.out, "red", word);
  if (word === "unknown" || word === "stopped") return word;
  return paint(terminal.out, "yellow", word);
}
