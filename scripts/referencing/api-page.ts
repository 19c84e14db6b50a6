import type { ApiDescription } from "@skerry/server";
import { markdownTable } from "./table.ts";

type Route = ApiDescription["routes"][number];

/** Every route, by what it is about. */
export function apiPage({ routes }: ApiDescription): string {
  const tags = [...new Set(routes.map((route) => route.tag))];
  const sections = tags.map((tag) => {
    const rows = routes
      .filter((route) => route.tag === tag)
      .map((route) => [`\`${route.method} ${route.path}\``, route.summary, parametersOf(route), callerOf(route)]);
    return `## ${tag}\n\n${markdownTable(["route", "what it does", "takes", "needs"], rows)}`;
  });
  return `# API

All of it is HTTPS and JSON, described for programs in [openapi.json](openapi.json) (OpenAPI 3.1, also served at
\`/api/v1/openapi.json\`). Errors are in [errors.md](errors.md), the fields of each kind in [kinds.md](kinds.md).

- **Who asks.** \`Authorization: Bearer skt1.…\` on every request but \`/livez\`. What a route needs is an action and a
  kind that a role must permit there (see [access.md](../access.md)): what may not even be read answers 404, anything else 403. Browsers, which can't set headers on a WebSocket, offer the protocols \`skerry.v1\` and \`bearer.<token>\`.
- **Writing.** \`PUT\` creates or replaces (\`If-None-Match: *\` only creates), \`PATCH\` is a JSON merge patch, \`POST …/{name}:{action}\`
  asks for an action. Unknown fields are refused. The answer is \`{resource, operation?, secret?}\`: 201 where it is new, 202 where an
  operation goes on with it (its path is in \`Location\`), else 200. A secret is shown this once.
- **Not overwriting others.** Every resource has a revision, its \`ETag\`; sent back as \`If-Match\` it refuses a change of anything newer.
- **Applying.** \`PATCH\` as \`application/apply-patch+json\` with \`fieldManager=NAME\` is server-side apply: the body
  (\`{metadata: {labels}, spec}\`, as much of it as matters) is all that this manager wishes of the object, which is made where it is
  not there. What it names becomes its own; what it had and names no more goes, unless others have it too. Another value for another
  manager's field is refused with \`conflict\`, every such field, its owners and both values (\`facts.conflicts\`); \`force=true\`
  takes them over. Whoever writes in any other way counts as the manager \`api\`. \`result\` says whether it was \`created\`,
  \`changed\` or \`unchanged\`. [How fields are owned](../applying.md).
- **Trying first.** \`?dryRun=true\` on whatever changes something answers \`{plan, resource, operation?}\`: every object that would
  change, field by field; the resource as it would be; the operation that would go on with it. Nothing is committed.
  \`POST /api/v1/plan\` does so for several applies and then deletions (at most 200 in all, in 1 MiB), each of which finds what those
  before it did.
- **Asking again.** \`Idempotency-Key\` on \`PUT\` and \`POST\`: the same request with the same key is done once within an hour. Its answer is
  remembered for 10,000 later ones (32 MB of answers), and no longer than this server leads. After that the key is found in what the request
  made; the answer then shows that as it is now, and a token's secret not again. What submitted an operation is known as long as that is
  kept: the last 10,000 that are over are. What only changed an object left its mark there, which goes with the object and where 8 later keys
  changed the same: asked for again after that it is done again, unless \`If-Match\` refuses it. What changed nothing leaves no mark.
- **Lists** take \`limit\` (at most 2000), \`cursor\`, \`labelSelector\` (\`a=b,c!=d\`), \`node\` (of instances and volumes), \`madeBy\` (a field manager) and \`fields\`, and answer \`{items, revision, nextCursor?}\`. The
  event stream from that revision misses nothing.
- **Events** are server-sent: \`change\` with the revision as its id, \`heartbeat\` with how far the stream has come, \`problem\` with why it ends.
- **Limits.** JSON bodies 1 MiB and 32 levels, headers 16 KiB, 100 streams of each sort and token, 16 uploads at a time.

${sections.join("\n\n")}
`;
}

function parametersOf({ query, requestHeaders = [] }: Route): string {
  const names = Object.keys(query?.properties ?? {});
  return [...names, ...requestHeaders].map((name) => `\`${name}\``).join(", ");
}

/** What a caller's roles must permit, as policies call it. */
function callerOf({ access }: Route): string {
  if (access === "public") return "nothing";
  if (access === "any-token") return "any token";
  return `${access.verb} ${access.kind}`;
}
