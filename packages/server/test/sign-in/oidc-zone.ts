import assert from "node:assert/strict";
import type { IdentityProviderResource } from "@skerry/model";
import { startIdentityServer, type IdentityServer } from "@skerry/testkit";
import type { Answer } from "../api/api-harness.ts";
import { startSignIn, type SignInHarness } from "./sign-in-harness.ts";

const api = "/api/v1";
const redirectUri = "http://127.0.0.1:8400/callback";
export const clientSecret = "the secret of the client";

/** An API that knows the real oidc-provider as `corp`, which may give the group `builders` and not `bosses`. */
export interface OidcZone extends AsyncDisposable {
  readonly harness: SignInHarness;
  readonly identity: IdentityServer;
  readonly spec: IdentityProviderResource["spec"];
  begin(): Promise<Answer>;
  finish(draft: string, answer: string, wish?: object): Promise<Answer>;
  /** As somebody in a browser. */
  signIn(login: string, wish?: object): Promise<Answer>;
  /** Of the provider's spec. */
  change(patch: object): Promise<Answer>;
  membersOf(group: string): readonly string[] | undefined;
}

export async function startOidcZone(): Promise<OidcZone> {
  const harness = await startSignIn();
  const identity = await startIdentityServer(clientSecret);
  for (const name of ["builders", "bosses"])
    await harness.ask(harness.admin, "PUT", `${api}/groups/${name}`, { spec: { members: [] } });
  const spec: IdentityProviderResource["spec"] = {
    ...{
      issuer: identity.issuer,
      clientId: "skerry",
      clientSecret,
      scopes: ["profile", "groups"],
      createsUsers: true,
    },
    ...{ groupsClaim: "groups", groups: [{ value: "team-builders", group: "builders" }] },
  };
  const made = await harness.ask(harness.admin, "PUT", `${api}/identity-providers/corp`, { spec });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.at("resource.spec.clientSecret"), "(sealed)");
  const begin = () => harness.post(undefined, "sign-in/browser/begin", { identityProvider: "corp", redirectUri });
  const finish = (draft: string, answer: string, wish = {}) =>
    harness.post(undefined, "sign-in/browser", { draft, answer, ...wish });
  return {
    ...{ harness, identity, spec, begin, finish },
    async signIn(login, wish) {
      const begun = await begin();
      assert.equal(begun.status, 200, begun.text);
      return finish(begun.textAt("draft"), await identity.visit(begun.textAt("authorizationUrl"), login), wish);
    },
    change: (patch) => harness.ask(harness.admin, "PATCH", `${api}/identity-providers/corp`, { spec: patch }),
    membersOf: (group) => harness.store.get("Group", { name: group })?.spec.members,
    async [Symbol.asyncDispose]() {
      await harness[Symbol.asyncDispose]();
      await identity[Symbol.asyncDispose]();
    },
  };
}
