import { setImmediate } from "node:timers/promises";
import { Month, UsageReport, optional, strict, type UsageLine } from "@skerry/model";
import type { View } from "@skerry/store";
import { notFound } from "../authorisation/authorise.ts";
import { SiteAmounts } from "../controllers/metering/amounts.ts";
import { meterName } from "../controllers/metering/metering.ts";
import { monthOf } from "../controllers/metering/month.ts";
import { reportOf, usageLines, usageOfProject } from "../controllers/metering/usage-report.ts";
import type { ApiDeps } from "./deps.ts";
import { atRevision, reachedRevision } from "./reached-revision.ts";
import { placeOfItem } from "./resource-routes.ts";
import type { Call, GuardedRoute, Reply } from "./route.ts";

const query = strict({ month: optional(Month), revision: atRevision });
const replies = { 200: { description: "What there was, and what it costs.", schema: UsageReport } };

/** `GET …/usage`: metered usage of a month, of a project or of all that an organisation has or had. */
export function usageRoutes(deps: ApiDeps): readonly GuardedRoute[] {
  const { store, clock } = deps;
  const asked = ({ query: { month } }: Call) => ({ nowMs: clock.nowMs(), month: month ?? monthOf(clock.nowMs()) });
  return [
    {
      ...{ method: "GET", tag: "Project", query, replies },
      path: "/api/v1/projects/{name}/usage",
      operationId: "getProjectUsage",
      summary: "What a project used in a month (UTC, this one where absent) at each site, and what that costs.",
      access: { verb: "read", kind: "Project", place: ({ name = "" }) => placeOfItem(deps, "Project", { name }) },
      async handle(call): Promise<Reply> {
        await reachedRevision(store, call.query.revision);
        const { month, nowMs } = asked(call);
        const { name = "" } = call.params;
        const project = store.get("Project", { name });
        if (project === undefined) throw notFound("Project", { name });
        const lines = usageLines(store, name, usageOfProject(store, project.metadata, month, nowMs), month);
        return { status: 200, body: reportOf(month, nowMs, lines) };
      },
    },
    {
      ...{ method: "GET", tag: "Organisation", query, replies },
      path: "/api/v1/organisations/{name}/usage",
      operationId: "getOrganisationUsage",
      summary: "The same of all projects of an organisation, also of those that are gone.",
      access: {
        verb: "read",
        kind: "Organisation",
        place: ({ name = "" }) => placeOfItem(deps, "Organisation", { name }),
      },
      async handle(call): Promise<Reply> {
        await reachedRevision(store, call.query.revision);
        const { month, nowMs } = asked(call);
        const { name = "" } = call.params;
        if (store.get("Organisation", { name }) === undefined) throw notFound("Organisation", { name });
        const lines: UsageLine[] = [...usageOfGone(store, name, month)];
        const projects = store.list("Project").filter(({ spec }) => spec.organisation === name);
        for (const { metadata } of projects) {
          // Each project is told as of one moment; others are let in between.
          await setImmediate();
          lines.push(...usageLines(store, metadata.name, usageOfProject(store, metadata, month, nowMs), month));
        }
        lines.sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
        return { status: 200, body: reportOf(month, nowMs, lines) };
      },
    },
  ];
}

/** What projects had that are not there any more: all of it is in their meters. */
function usageOfGone(view: View, organisation: string, month: string): readonly UsageLine[] {
  return view.list("Meter").flatMap(({ metadata, spec, status }) => {
    const { project = "", name } = metadata;
    if (spec.month !== month || spec.organisation !== organisation) return [];
    const there = view.get("Project", { name: project });
    if (there !== undefined && name === meterName(month, there.metadata.id)) return [];
    const sites = new SiteAmounts();
    for (const site of status.sites) sites.addMetered(site);
    return usageLines(view, project, sites, month);
  });
}

function keyOf({ project, site }: UsageLine): string {
  return `${project} ${site}`;
}
