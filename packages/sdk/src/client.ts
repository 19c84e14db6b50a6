import type {
  CostEffect,
  KindName,
  MoveForecast,
  OperationResource,
  PlacementExplanation,
  PlacementSimulation,
  QuotaEffect,
  RebalanceProposals,
  ResourceOf,
  SimulationRequest,
  UsageReport,
} from "@skerry/model";

/** Names one object: by project and name for kinds in a project, else by name. */
export interface ResourceKey {
  readonly name: string;
  readonly project?: string | undefined;
}

export interface ListOptions {
  /** Of a project kind: one project's; all that the token may see where absent. */
  readonly project?: string | undefined;
  /** `a=b,c!=d` */
  readonly labelSelector?: string | undefined;
  /** Of instances and volumes: a node's name. */
  readonly node?: string | undefined;
  /** Of operations: what they work on, as `Kind/name` or `Kind/project/name`. */
  readonly target?: string | undefined;
  /** Of those only that an apply by this field manager has made. */
  readonly madeBy?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface Page<K extends KindName> {
  readonly items: readonly ResourceOf<K>[];
  /** The revision that the list shows; `watch` from it misses nothing. */
  readonly revision: number;
  readonly nextCursor?: string | undefined;
}

/** What a client writes of a resource. */
export interface Draft<K extends KindName> {
  readonly spec: ResourceOf<K>["spec"];
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface MutationOptions {
  /** Refuse with revision-mismatch unless the object is still at this revision. */
  readonly ifRevision?: number | undefined;
  /** Refuse with already-exists where the object is there (PUT only). */
  readonly ifAbsent?: boolean | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** The answer to a mutation. */
export interface Mutation<K extends KindName> {
  readonly resource: ResourceOf<K>;
  /** The long-running rest of it, where there is one. */
  readonly operation?: OperationResource | undefined;
  /** A token's secret, shown this once. */
  readonly secret?: string | undefined;
  /** Of an apply: what it came to for labels and spec. */
  readonly result?: "created" | "changed" | "unchanged" | undefined;
  /** Of this change, by which it is undone; none where nothing changed. */
  readonly revision?: number | undefined;
}

/** Who applies, and whether it takes over what other managers have. */
export interface ApplyOptions {
  readonly fieldManager: string;
  readonly force?: boolean | undefined;
}

/** All that a manager wishes of one object. */
export interface Wish<K extends KindName> {
  readonly spec?: Partial<ResourceOf<K>["spec"]> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** One change that a mutation would make (dry run). */
export interface PlannedChange {
  readonly kind: KindName;
  readonly name: string;
  readonly project?: string | undefined;
  readonly type: "created" | "updated" | "deleted";
  /** Field by field: JSON pointer, before, after. */
  readonly diff: readonly { readonly path: string; readonly before?: unknown; readonly after?: unknown }[];
}

/** All that a mutation would change. */
export interface Plan {
  readonly changes: readonly PlannedChange[];
  /** What projects and organisations would have more or less of; empty of a server that does not tell. */
  readonly quota: readonly QuotaEffect[];
  /** What things would cost more or less in a month; empty of a server that does not tell. */
  readonly cost: readonly CostEffect[];
  /** Of what moves many instances. */
  readonly moves?: MoveForecast;
}

/** What is to be better, and how many moves that may take. */
export interface RebalanceWish {
  readonly objective: RebalanceProposals["objective"];
  readonly maxMoves?: number;
  readonly maxParallel?: number;
  readonly ignoreBudgets?: boolean;
}

export interface Rebalancing {
  readonly proposals: RebalanceProposals;
  readonly operation?: OperationResource;
}

/** A mutation that somebody asked for: the one that submitted an operation, or that made the change of a revision. */
export type UndoneChange = { readonly operation: string } | { readonly revision: number };

export interface UndoOptions {
  /** Leave what was changed since, or can't be taken back, and take back the rest. */
  readonly partial?: boolean | undefined;
}

/** What an undo does to one object. */
export interface UndoneObject {
  readonly kind: KindName;
  readonly name: string;
  readonly project?: string | undefined;
  readonly way: "deleted" | "restored" | "made-again" | "moved-back" | "cancelled";
  /** JSON pointers of what is set back, and of what stays as it is now. */
  readonly fields?: readonly string[] | undefined;
  readonly left?: readonly string[] | undefined;
  /** What goes with it for good. */
  readonly destroys?: string | undefined;
  /** What is not as it was. */
  readonly notes?: readonly string[] | undefined;
}

interface UndoOf {
  readonly undoes: { readonly revision: number; readonly at: string; readonly operation?: string | undefined };
  readonly undone: readonly UndoneObject[];
}

export interface Undo extends UndoOf {
  readonly resource: ResourceOf<KindName>;
  readonly operation?: OperationResource | undefined;
  /** Of the undo, by which it is undone itself. */
  readonly revision?: number | undefined;
}

export interface UndoPlan extends UndoOf, Plan {}

/** One event of the change feed. */
export interface WatchEvent {
  readonly revision: number;
  readonly type: "created" | "updated" | "deleted";
  readonly object: ResourceOf<KindName>;
}

/** A byte stream through the control plane to a console or a port. */
export interface ByteStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): void;
}

/** One control plane, as one principal. Everything rejects with SkerryError; an unreachable server is `unavailable`. */
export interface Client {
  list<K extends KindName>(kind: K, options?: ListOptions, signal?: AbortSignal): Promise<Page<K>>;
  /** Every page. */
  listAll<K extends KindName>(kind: K, options?: ListOptions, signal?: AbortSignal): Promise<readonly ResourceOf<K>[]>;
  get<K extends KindName>(kind: K, key: ResourceKey, signal?: AbortSignal): Promise<ResourceOf<K>>;
  put<K extends KindName>(
    kind: K,
    key: ResourceKey,
    draft: Draft<K>,
    options?: MutationOptions,
    signal?: AbortSignal,
  ): Promise<Mutation<K>>;
  /** JSON merge patch of `{metadata: {labels}, spec}`. */
  patch<K extends KindName>(
    kind: K,
    key: ResourceKey,
    patch: Readonly<Record<string, unknown>>,
    options?: MutationOptions,
    signal?: AbortSignal,
  ): Promise<Mutation<K>>;
  /** Server-side apply: makes or changes the object; what the manager had and does not name any more goes. */
  apply<K extends KindName>(
    kind: K,
    key: ResourceKey,
    wish: Wish<K>,
    options: ApplyOptions,
    signal?: AbortSignal,
  ): Promise<Mutation<K>>;
  delete<K extends KindName>(
    kind: K,
    key: ResourceKey,
    options?: MutationOptions,
    signal?: AbortSignal,
  ): Promise<Mutation<K>>;
  /** `POST …/{name}:{action}` */
  action<K extends KindName>(
    kind: K,
    key: ResourceKey,
    action: string,
    input?: Readonly<Record<string, unknown>>,
    options?: MutationOptions,
    signal?: AbortSignal,
  ): Promise<Mutation<K>>;
  /** The same client whose mutations only rehearse: what each would change. */
  plan<K extends KindName>(
    kind: K,
    key: ResourceKey,
    mutation: PlannedMutation<K>,
    signal?: AbortSignal,
  ): Promise<Plan>;
  /** What applying all of these, one after the other, and then deletions would change; each sees those before it. */
  planApply(request: PlannedApply, signal?: AbortSignal): Promise<Plan>;
  /** Takes back what a mutation changed. */
  /** Moves that gain something; begins them, unless it is a dry run. */
  rebalance(wish: RebalanceWish, options?: { readonly dryRun?: boolean }, signal?: AbortSignal): Promise<Rebalancing>;
  undo(change: UndoneChange, options?: UndoOptions, signal?: AbortSignal): Promise<Undo>;
  /** What that would do. */
  planUndo(change: UndoneChange, options?: UndoOptions, signal?: AbortSignal): Promise<UndoPlan>;
  /** Why an instance is where it is, as it was decided and as it would be now. */
  explainPlacement(key: ResourceKey, signal?: AbortSignal): Promise<PlacementExplanation>;
  /** Where instances would go if things were otherwise. Changes nothing. */
  simulatePlacement(request: SimulationRequest, signal?: AbortSignal): Promise<PlacementSimulation>;
  /** What a project or organisation used in a month (UTC, this one where absent). */
  usage(kind: "Project" | "Organisation", name: string, month?: string, signal?: AbortSignal): Promise<UsageReport>;
  /** Every change after `since` (of some kinds only, where named) in order, none skipped, none twice, across reconnects. */
  watch(since: number, signal: AbortSignal, kinds?: readonly KindName[]): AsyncIterable<WatchEvent>;
  /** Follows an operation to its end, calling back with each change; resolves whatever its outcome. */
  waitForOperation(
    name: string,
    onChange: (operation: OperationResource) => void,
    signal?: AbortSignal,
  ): Promise<OperationResource>;
  uploadImage(
    key: ResourceKey,
    content: ReadableStream<Uint8Array>,
    sizeBytes: number,
    signal?: AbortSignal,
  ): Promise<void>;
  /** The whole state as JSON lines; only a zone's admin may. Whole where its last line vouches for all before it. */
  openBackup(signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** Who changed what; only a zone's admin may ask. */
  audit(query: AuditQuery, signal?: AbortSignal): Promise<AuditPage>;
  whoAmI(signal?: AbortSignal): Promise<WhoAmI>;
  openConsole(key: ResourceKey, signal?: AbortSignal): Promise<ByteStream>;
  openConsoleLog(key: ResourceKey, options: { readonly follow: boolean }, signal?: AbortSignal): Promise<ByteStream>;
  openPort(key: ResourceKey, port: number, signal?: AbortSignal): Promise<ByteStream>;
}

/** Who a token stands for. */
export interface WhoAmI {
  readonly name: string;
  /** What it was given, and where: the whole zone where nothing is named. */
  readonly roles: readonly GivenRole[];
  /** At most this of it. */
  readonly limit?: GivenRole | undefined;
  /** Whose the token is; absent where it stands for itself. */
  readonly owner?: "User" | "ServiceAccount" | undefined;
  readonly expiresAt?: string | undefined;
}

export interface GivenRole {
  readonly role: string;
  readonly project?: string | undefined;
  readonly organisation?: string | undefined;
  readonly provider?: string | undefined;
}

/** A resource by its place. */
export interface PlannedDeletion {
  readonly kind: KindName;
  readonly metadata: ResourceKey;
}

/** A wish as a file describes it. */
export interface PlannedResource {
  readonly kind: KindName;
  readonly metadata: ResourceKey & { readonly labels?: Readonly<Record<string, string>> | undefined };
  readonly spec?: Partial<ResourceOf<KindName>["spec"]> | undefined;
}

export interface PlannedApply extends ApplyOptions {
  readonly resources: readonly PlannedResource[];
  readonly deletions?: readonly PlannedDeletion[] | undefined;
}

export type PlannedMutation<K extends KindName> =
  | { readonly verb: "put"; readonly draft: Draft<K> }
  | { readonly verb: "patch"; readonly patch: Readonly<Record<string, unknown>> }
  | { readonly verb: "delete" }
  | { readonly verb: "action"; readonly action: string; readonly input?: Readonly<Record<string, unknown>> };

export interface AuditQuery {
  /** Records from behind this one on; the newest where absent. */
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  /** A token's name. */
  readonly actor?: string | undefined;
  readonly kind?: KindName | undefined;
  readonly project?: string | undefined;
  /** RFC 3339. */
  readonly since?: string | undefined;
  readonly operation?: string | undefined;
}

/** A place in the audit log's chain. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/** Records oldest first, each with its exact text, which is JSON. */
export interface AuditPage {
  readonly items: readonly (AuditHead & { readonly record: string })[];
  /** What the record behind `after` is chained to. */
  readonly start: AuditHead;
  /** To go on after; a page may be empty and have it. */
  readonly next?: number | undefined;
  readonly head: AuditHead;
  readonly zoneId: string;
}

/** One call as it went, for `--verbose`. */
export interface CallTrace {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  readonly elapsedMs: number;
}
