import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApiDeps } from "../../src/api/deps.ts";
import { apiTokenIntents } from "../../src/controllers/intents/api-token.ts";
import { identityProviderIntents } from "../../src/controllers/intents/identity-provider.ts";
import { roleBindingIntents } from "../../src/controllers/intents/role-binding.ts";
import { groupIntents, userIntents } from "../../src/controllers/intents/subjects.ts";
import { systemClock } from "../../src/operations/clock.ts";
import { systemRandom } from "../../src/operations/random.ts";
import { AttemptLimit } from "../../src/sign-in/attempt-limit.ts";
import { noFirstStart, openFirstStart } from "../../src/sign-in/first-start.ts";
import { PasswordHasher, type PasswordCost } from "../../src/sign-in/password.ts";
import { fromBase32, totpCode, totpStep } from "../../src/sign-in/totp.ts";
import { startApi, type Answer, type ApiHarness } from "../api/api-harness.ts";
import { plainIntents } from "../api/plain-intents.ts";

export const password = "correct horse battery staple";
const api = "/api/v1";

/** Somebody with a password and an authenticator. */
export interface Person {
  readonly name: string;
  secret: string;
  recoveryCodes: readonly string[];
  /** Of the session that they began with. */
  token: string;
}

/** An API with people, whose clock is moved by hand. */
export interface SignInHarness extends ApiHarness {
  readonly firstStartFile: string;
  /** The code of the first start's link. */
  readonly firstCode: () => Promise<string>;
  pass(ms: number): void;
  /** The server's own clock goes wrong by so much, and nobody else's. */
  skew(ms: number): void;
  nowMs(): number;
  readonly post: (
    token: string | undefined,
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  /** Makes a user by an invitation. */
  person(name: string): Promise<Person>;
  enrol(code: string, name?: string): Promise<Answer & { readonly person: Person }>;
  /** A code that was not used yet: time passes until there is one. */
  code(person: Person): string;
  signIn(person: Person, change?: object): Promise<Answer>;
}

export async function startSignIn(
  cost: PasswordCost = { memoryKiB: 64, passes: 1 },
  more: Partial<ApiDeps> = {},
): Promise<SignInHarness> {
  const folder = await mkdtemp(join(tmpdir(), "skerry-sign-in-"));
  let aheadMs = 0;
  let skewMs = 0;
  // Identity providers in this process tell the time by it, too.
  const dateNow = Date.now;
  Date.now = () => dateNow() + aheadMs;
  const clock = {
    ...systemClock,
    nowMs: () => Date.now() + skewMs,
    monotonicMs: () => performance.now() + aheadMs,
  };
  const firstStartFile = join(folder, "first-start.link");
  // Opened once there is a store.
  const opened = { firstStart: noFirstStart };
  const harness = await startApi(({ rights, people }) => ({
    clock,
    issuerTimeoutMs: 1000,
    hasher: new PasswordHasher(cost),
    attempts: new AttemptLimit(clock),
    firstStart: {
      isOpen: (...asked) => opened.firstStart.isOpen(...asked),
      close: () => opened.firstStart.close(),
    },
    intents: {
      ...plainIntents,
      ApiToken: apiTokenIntents({ random: systemRandom, rights }),
      User: userIntents({ rights, random: systemRandom, people }),
      Group: groupIntents({ rights }),
      RoleBinding: roleBindingIntents({ rights }),
      IdentityProvider: identityProviderIntents,
    },
    ...more,
  }));
  const { store, rights } = harness;
  opened.firstStart = await openFirstStart(
    { store, rights, clock, file: firstStartFile, url: "https://127.0.0.1:7440" },
    true,
  );

  const post: SignInHarness["post"] = (token, path, body = {}, headers = {}) =>
    harness.ask(token, "POST", `${api}/${path}`, body, headers);
  const enrol: SignInHarness["enrol"] = async (code, name) => {
    const begun = await post(undefined, "enrolment/begin", { code });
    assert.equal(begun.status, 200, begun.text);
    const secret = begun.textAt("secret");
    const chosen = { ...(name === undefined ? {} : { name }), password, totpCode: codeAt(secret, clock.nowMs()) };
    const answer = await post(undefined, "enrolment", { code, draft: begun.textAt("draft"), ...chosen });
    const {
      user = "",
      token = "",
      recoveryCodes = [],
    } = JSON.parse(answer.text) as Partial<Person> & { user?: string };
    return { ...answer, person: { name: user, secret, recoveryCodes, token } };
  };
  const code = (person: Person): string => {
    aheadMs += 30_000;
    return codeAt(person.secret, clock.nowMs());
  };
  return {
    ...harness,
    firstStartFile,
    firstCode: async () => new URL((await readFile(firstStartFile, "utf8")).trim()).searchParams.get("code") ?? "",
    pass: (ms) => void (aheadMs += ms),
    skew: (ms) => void (skewMs = ms),
    nowMs: () => clock.nowMs(),
    post,
    enrol,
    code,
    async person(name) {
      const made = await harness.ask(harness.admin, "PUT", `${api}/users/${name}`, { spec: {} });
      assert.equal(made.status, 201, made.text);
      const invited = await post(harness.admin, `users/${name}:invite`);
      assert.equal(invited.status, 200, invited.text);
      const enrolled = await enrol(invited.textAt("secret"));
      assert.equal(enrolled.status, 201, enrolled.text);
      return enrolled.person;
    },
    signIn: (person, change = {}) =>
      post(undefined, "sign-in", { user: person.name, password, code: code(person), ...change }),
    [Symbol.asyncDispose]: async () => {
      Date.now = dateNow;
      await harness[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function codeAt(secret: string, nowMs: number): string {
  return totpCode(fromBase32(secret), totpStep(nowMs));
}
