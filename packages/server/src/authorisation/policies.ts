import { createRequire } from "node:module";
import type { DetailedError, PolicyJson } from "@cedar-policy/cedar-wasm/nodejs";
import type { builtInRoles } from "@skerry/model";
import { SkerryError, kindNames, kinds, type KindName } from "@skerry/model";
import { changing, verbs, type Verb } from "./verbs.ts";

type Cedar = typeof import("@cedar-policy/cedar-wasm/nodejs");

const require = createRequire(import.meta.url);
let loaded: Cedar | undefined;

/** Loaded at the first decision, unless it was before: a start needs none. */
function cedar(): Cedar {
  return (loaded ??= require("@cedar-policy/cedar-wasm/nodejs") as Cedar);
}

/**
 * 4 MiB of WebAssembly, which holds whoever waits for 0.1 s; its first decision, which compiles what it runs through, does so as
 * long again. In turns of their own, so that others have theirs between.
 */
export function loadPolicyEngine(): void {
  setImmediate(() => {
    cedar();
    setImmediate(() => permissionsOf([builtInPolicies.operator]));
  });
}

type BuiltInRole = (typeof builtInRoles)[number];

/** What the built-in roles permit, within the scope that a binding gives them. */
export const builtInPolicies: Readonly<Record<BuiltInRole, string>> = {
  viewer: `permit (principal, action == Skerry::Action::"read", resource);`,
  operator: `permit (principal, action == Skerry::Action::"read", resource);
permit (
  principal,
  action in [Skerry::Action::"change", Skerry::Action::"connect"],
  resource
) when { (resource.scope == "project" && !(resource is Skerry::ServiceAccount)) || resource is Skerry::Operation };`,
  admin: `permit (principal, action, resource);`,
  provider: `permit (principal, action == Skerry::Action::"read", resource);
permit (principal, action in Skerry::Action::"change", resource)
when { resource is Skerry::Site || resource is Skerry::Node || resource is Skerry::JoinToken || resource is Skerry::Operation };`,
  "platform-admin": `permit (principal, action, resource);`,
};

const callers = "Caller";
/** Cedar keeps parsed policies by name; one name is enough for sets that are asked one after the other. */
const asked = "asked";

/** The vocabulary of policies, as a Cedar schema: a type for each kind, whose `scope` is "zone" or "project". */
const schema = [
  "namespace Skerry {",
  `  entity ${callers};`,
  ...kindNames.map((kind) => `  entity ${kind} { scope: String };`),
  "  action change;",
  ...verbs.map((verb) => {
    const parents = changing.has(verb) ? " in [change]" : "";
    return `  action ${verb}${parents} appliesTo { principal: ${callers}, resource: [${kindNames.join(", ")}], context: {} };`;
  }),
  "}",
].join("\n");

const actionEntities = [
  { uid: action("change"), attrs: {}, parents: [] },
  ...verbs.map((verb) => ({ uid: action(verb), attrs: {}, parents: changing.has(verb) ? [action("change")] : [] })),
];

function action(id: string) {
  return { type: "Skerry::Action", id };
}

/**
 * Refuses a role's policies that Cedar does not take, or that speak of anything but actions and kinds: whom a role is given to and
 * where it holds is for its bindings to say, and so what it permits can be told beforehand.
 * @throws SkerryError invalid-request with the parser's words
 */
export function checkPolicies(text: string): void {
  const { checkParsePolicySet, policySetTextToParts, policyToJson, validate } = cedar();
  const parsed = checkParsePolicySet({ staticPolicies: text });
  if (parsed.type === "failure") throw invalidPolicies(wordsOf(parsed.errors));
  const parts = policySetTextToParts(text);
  if (parts.type === "failure" || parts.policy_templates.length > 0)
    throw invalidPolicies("templates are of no use here");
  for (const [index, part] of parts.policies.entries()) {
    const read = policyToJson(part);
    const fault = read.type === "failure" ? wordsOf(read.errors) : (faultOf(read.json) ?? escapeIn(part));
    if (fault !== undefined) throw invalidPolicies(`policy ${index + 1} ${fault}`);
  }
  const checked = validate({ schema, policies: { staticPolicies: text } });
  const errors = checked.type === "failure" ? checked.errors : checked.validationErrors.map(({ error }) => error);
  if (errors.length > 0) throw invalidPolicies(wordsOf(errors));
}

function faultOf({ principal, resource, conditions }: PolicyJson): string | undefined {
  if (principal.op !== "All") return "names a principal: bind the role to whom it is for";
  if (resource.op !== "All" && (resource.op !== "is" || resource.in !== undefined))
    return "names a resource: bind the role where it is to hold";
  return conditions.some(namesMore) ? "asks for more than the action and the resource's kind" : undefined;
}

/** What stands behind a backslash could name something in other words than those that are looked for. */
function escapeIn(part: string): string | undefined {
  return part.includes("\\") ? "has a backslash, which nothing here needs" : undefined;
}

/** Whether an expression names an entity, the caller or the context. */
function namesMore(expression: unknown): boolean {
  if (typeof expression !== "object" || expression === null) return false;
  return Object.entries(expression).some(
    ([key, value]) =>
      key === "__entity" || (key === "Var" && (value === "principal" || value === "context")) || namesMore(value),
  );
}

function invalidPolicies(what: string): SkerryError {
  return new SkerryError("invalid-request", `The policies can not be taken: ${what}.`.slice(0, 1000), {
    errors: [{ path: "/spec/policies", message: what.slice(0, 500) }],
    remedy: "The vocabulary and examples are in docs/access.md.",
  });
}

function wordsOf(errors: readonly DetailedError[]): string {
  return errors.map(({ message, help }) => (help === null ? message : `${message} (${help})`)).join("; ");
}

/** What may be done, of all that there is. */
export interface Permissions {
  has(verb: Verb, kind: KindName): boolean;
}

/**
 * What some policies permit together, of every verb and kind: one that forbids outweighs any that permits, and what none permits is
 * forbidden. Asked of Cedar once for all, since the answers depend on nothing else; of verbs and kinds that the policies don't name, one
 * speaks for all that are like it. About 5 ms.
 */
export function permissionsOf(texts: readonly string[]): Permissions {
  const { preparsePolicySet, statefulIsAuthorized } = cedar();
  const text = texts.join("\n");
  const permitted = new Set<string>();
  // Policies of old may have escapes, and so name what does not stand there.
  const names = (what: string): boolean => text.includes(what) || text.includes("\\");
  const verbsAlike = classes(verbs, (verb) => (names(`"${verb}"`) ? verb : changing.has(verb)));
  const kindsAlike = classes(kindNames, (kind) => (names(kind) ? kind : kinds[kind].scope));
  const classOfVerb = new Map(verbsAlike.flatMap((alike) => alike.map((verb) => [verb, alike[0]] as const)));
  const classOfKind = new Map(kindsAlike.flatMap((alike) => alike.map((kind) => [kind, alike[0]] as const)));
  const has = (verb: Verb, kind: KindName): boolean =>
    permitted.has(`${classOfVerb.get(verb)} ${classOfKind.get(kind)}`);
  if (preparsePolicySet(asked, { staticPolicies: text }).type === "failure") return { has };
  for (const [kind] of kindsAlike) {
    const resource = { type: `Skerry::${kind}`, id: "any" };
    const entities = [...actionEntities, { uid: resource, attrs: { scope: kinds[kind].scope }, parents: [] }];
    for (const [verb] of verbsAlike) {
      const answer = statefulIsAuthorized({
        principal: { type: `Skerry::${callers}`, id: "any" },
        action: action(verb),
        resource,
        context: {},
        preparsedPolicySetId: asked,
        validateRequest: false,
        entities,
      });
      if (answer.type === "failure") continue;
      const { decision, diagnostics } = answer.response;
      // One that can't be evaluated might have forbidden it.
      if (decision === "allow" && diagnostics.errors.length === 0) permitted.add(`${verb} ${kind}`);
    }
  }
  return { has };
}

/** What some policies take even from whoever is permitted everything besides. */
export function prohibitionsOf(texts: readonly string[]): Permissions {
  const left = permissionsOf([builtInPolicies["platform-admin"], ...texts]);
  return { has: (verb, kind) => !left.has(verb, kind) };
}

/** Each at least one. */
function classes<T>(all: readonly T[], classOf: (one: T) => unknown): readonly (readonly [T, ...T[]])[] {
  const found = new Map<unknown, [T, ...T[]]>();
  for (const one of all) {
    const alike = found.get(classOf(one));
    if (alike === undefined) found.set(classOf(one), [one]);
    else alike.push(one);
  }
  return [...found.values()];
}
