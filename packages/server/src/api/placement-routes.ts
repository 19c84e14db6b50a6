import {
  PlacementExplanation,
  PlacementSimulation,
  SimulationRequest,
  SkerryError,
  parserOf,
  simulationLimits,
  strict,
} from "@skerry/model";
import { authorise, notFound } from "../authorisation/authorise.ts";
import type { Rights } from "../authorisation/rights.ts";
import { explainPlacement } from "../controllers/explaining/explanation.ts";
import { explanationCost, simulationCost } from "../controllers/explaining/simulation-cost.ts";
import { simulatePlacement } from "../controllers/explaining/simulation.ts";
import { Slices } from "../controllers/explaining/slices.ts";
import { OpenLimit } from "../limits/open-limit.ts";
import { principalKey } from "../limits/request-limits.ts";
import type { ApiDeps } from "./deps.ts";
import { atRevision, reachedRevision } from "./reached-revision.ts";
import type { Call, GuardedRoute, Reply } from "./route.ts";

/** How many explanations and simulations one principal may wait for at once. */
const mostAtOnce = 4;
const parseRequest = parserOf(SimulationRequest, "simulation");

/** Why something is where it is, and what would be if things were otherwise: by the engine that decides. */
export function placementRoutes(deps: ApiDeps): readonly GuardedRoute[] {
  const { store, fleet, limits, stopping } = deps;
  const slices = new Slices();
  const open = new OpenLimit(mostAtOnce, "explanations and simulations");
  return [
    {
      method: "GET",
      path: "/api/v1/projects/{project}/instances/{name}/placement",
      operationId: "explainInstancePlacement",
      summary:
        "Why an instance is where it is, why not elsewhere, and what would change it: as it was decided, where that is still known, and " +
        "as it would be decided now. Nodes are named to those who may read them, to others their sites.",
      tag: "Instance",
      access: { verb: "read", kind: "Instance", place: ({ project }) => ({ project }) },
      query: strict({ revision: atRevision }),
      replies: { 200: { description: "The explanation.", schema: PlacementExplanation } },
      async handle(call: Call): Promise<Reply> {
        await reachedRevision(store, call.query.revision);
        const { project = "", name = "" } = call.params;
        const { principal } = call;
        using _place = open.enter(principalKey(principal));
        limits.admit(principal, explanationCost - 1);
        const body = await slices.run(
          principalKey(principal),
          () => {
            const instance = store.get("Instance", { project, name });
            if (instance === undefined) throw notFound("Instance", { project, name });
            return explainPlacement({ view: store, fleet }, instance, principal.rights);
          },
          signalOf(call, stopping),
        );
        return { status: 200, body };
      },
    },
    {
      method: "POST",
      path: "/api/v1/placement/simulations",
      operationId: "simulatePlacement",
      summary:
        "Where instances would go, new ones and such as are there, if sites, nodes, prices or round trips were otherwise. Changes nothing " +
        "and keeps nothing free; names nothing that the caller may not read. Needs the right to read some project's instances.",
      tag: "Server",
      access: "any-token",
      body: { contentType: "application/json", schema: SimulationRequest },
      maxBodyBytes: simulationLimits.bytes,
      replies: { 200: { description: "What would be.", schema: PlacementSimulation } },
      async handle(call: Call): Promise<Reply> {
        const asked = parseRequest(call.body);
        const { principal } = call;
        // What sites, countries and providers have is told to whoever might be placed there, and to nobody else.
        if (!readsAny(principal.rights)) authorise(principal, "read", "Instance", {}, { name: "" });
        for (const { project } of asked.requests ?? []) requireProject(deps, call, project);
        const instances = (asked.instances ?? []).map((key) => {
          requireProject(deps, call, key.project);
          const instance = store.get("Instance", key);
          if (instance === undefined) throw notFound("Instance", key);
          return instance;
        });
        using _place = open.enter(principalKey(principal));
        limits.admit(principal, simulationCost(asked, instances) - 1);
        const body = await slices.run(
          principalKey(principal),
          () => simulatePlacement({ view: store, fleet }, asked, principal.rights),
          signalOf(call, stopping),
        );
        return { status: 200, body };
      },
    },
  ];
}

/** Aborts when the server stops, or nobody is there any more to be answered. */
function signalOf({ request, reply }: Call, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController();
  const leave = (): void =>
    gone.abort(new SkerryError("unavailable", "Whoever asked is gone.", { remedy: "Ask again." }));
  if (request.raw.socket.destroyed) leave();
  else reply.raw.once("close", leave);
  return AbortSignal.any([gone.signal, stopping]);
}

/** Whether they may read the instances of some project. */
function readsAny(rights: Rights): boolean {
  const { grants, limit } = rights;
  return [...grants, ...(limit === undefined ? [] : [limit])].some(({ scope }) =>
    rights.allow("read", "Instance", scope),
  );
}

/** Who reads a project's instances may ask where they would be. */
function requireProject({ store }: ApiDeps, { principal }: Call, project: string): void {
  authorise(principal, "read", "Instance", { project }, { project, name: "" });
  if (store.get("Project", { name: project }) === undefined) throw notFound("Project", { name: project });
}
