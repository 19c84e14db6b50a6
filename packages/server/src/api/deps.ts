import type { Condition, KindName, ResourceOf } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { FailureLimit } from "../authorisation/failure-limit.ts";
import type { RightsIndex } from "../authorisation/rights-index.ts";
import type { TokenWatch } from "../authorisation/token-watch.ts";
import type { Fleet } from "../controllers/fleet.ts";
import type { Rebalancing } from "../controllers/rebalancing.ts";
import type { SpendBook } from "../controllers/quotas/spend-book.ts";
import type { UsageBook } from "../controllers/quotas/usage-book.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { ImageFiles } from "../images/image-files.ts";
import type { IntentTable } from "../intents.ts";
import type { ServerMetrics } from "../metrics/server-metrics.ts";
import type { OwnRates, RequestLimits } from "../limits/request-limits.ts";
import type { Clock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import type { Sealer } from "../secrets/sealer.ts";
import type { AttemptLimit } from "../sign-in/attempt-limit.ts";
import type { FirstStart } from "../sign-in/first-start.ts";
import type { PasswordHasher } from "../sign-in/password.ts";
import type { PeopleIndex } from "../sign-in/people-index.ts";
import type { OpenRoute } from "./route.ts";

/** What the API stands on. */
export interface ApiDeps {
  readonly store: Store;
  readonly intents: IntentTable;
  readonly gateway: Pick<Gateway, "openStream">;
  /** A resource with the age of what was seen as of now: what is stored of it may lag behind. */
  readonly freshen: <R extends ResourceOf<KindName>>(resource: R) => R;
  /** When a node last reported an object that it owns, milliseconds since 1970: what `freshen` puts into instances and volumes. */
  readonly seenAtMs: (nodeId: string, objectId: string) => number | undefined;
  /** That a node is not heard now, as a condition of what is on it: put into these as well. */
  readonly unreachable: (nodeId: string) => Condition | undefined;
  /** What projects and organisations have. */
  readonly usage: Pick<UsageBook, "changesIn">;
  /** What months come to for them. */
  readonly spend: Pick<SpendBook, "of">;
  /** Nodes as placement sees them: for what plans may cost, and for explanations and simulations. */
  readonly fleet: Pick<Fleet, "in" | "snapshot" | "requestOf" | "withPeers">;
  readonly rebalancing: Rebalancing;
  /** Where agents join and dial; they prove who they are by themselves. */
  readonly agentRoutes: readonly OpenRoute[];
  readonly tokens: TokenWatch;
  readonly rights: RightsIndex;
  readonly people: PeopleIndex;
  readonly failures: FailureLimit;
  readonly attempts: AttemptLimit;
  readonly hasher: PasswordHasher;
  readonly firstStart: FirstStart;
  readonly limits: RequestLimits;
  /** What a project, and the organisation that it is of, say of how often they may be changed. */
  readonly ratesOf: (project: string) => OwnRates;
  /** How long an identity provider may take to answer; 10 s where absent. */
  readonly issuerTimeoutMs?: number;
  readonly sealer: Sealer;
  readonly images: ImageFiles;
  readonly metrics: ServerMetrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly makeId: (prefix: string) => string;
  /** Of this software. */
  readonly version: string;
  /** Aborts when the server stops: ends every stream. */
  readonly stopping: AbortSignal;
}
