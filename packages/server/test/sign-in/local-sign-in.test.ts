import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { SkerryError } from "@skerry/model";
import { authenticate } from "../../src/authorisation/authentication.ts";
import { makeTokenWatch } from "../../src/authorisation/token-watch.ts";
import { systemClock } from "../../src/operations/clock.ts";
import { PasswordHasher } from "../../src/sign-in/password.ts";
import { codeAt, password, startSignIn, type SignInHarness } from "./sign-in-harness.ts";

const api = "/api/v1";

describe("local users", { timeout: 120_000 }, () => {
  let harness: SignInHarness;
  before(async () => {
    harness = await startSignIn();
  });
  after(() => harness[Symbol.asyncDispose]());
  const whoAmI = (token: string) => harness.ask(token, "GET", `${api}/whoami`);

  test("sign in by password and code, for a session that is a token of theirs and ends by signing out", async () => {
    const ana = await harness.person("ana");
    const answer = await harness.signIn(ana);
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers["cache-control"], "no-store");
    const token = answer.textAt("token");
    const who = await whoAmI(token);
    assert.deepEqual([who.at("name"), who.at("owner")], ["ana", "User"]);
    assert.equal(who.textAt("expiresAt"), answer.textAt("expiresAt"));
    const stored = harness.store.get("ApiToken", { name: answer.textAt("name") });
    assert.deepEqual(stored?.spec.owner, { kind: "User", name: "ana" });
    assert.equal(stored?.status.session?.by, "password");
    assert.ok(!JSON.stringify(stored).includes(token.split(".")[2] ?? token));
    assert.equal((await harness.post(token, "sign-out")).at("ended"), 1);
    assert.equal((await whoAmI(token)).status, 401);
    assert.equal((await whoAmI(ana.token)).status, 200);
  });

  test("are told the same whatever is wrong, and whether or not there is such a user", async () => {
    const eve = await harness.person("eve");
    await harness.ask(harness.admin, "PUT", `${api}/users/bare`, { spec: {} });
    const answers = [
      await harness.signIn(eve, { password: "wrong horse battery staple" }),
      await harness.signIn(eve, { code: "000000" }),
      await harness.signIn(eve, { code: "" }),
      await harness.signIn(eve, { user: "nobody" }),
      await harness.signIn(eve, { user: "bare" }),
      await harness.signIn(eve, { user: "bare", password: "" }),
    ];
    for (const { status, text } of answers) assert.deepEqual([status, text], [401, answers[0]?.text]);
    assert.equal((await harness.signIn(eve)).status, 201);
  });

  test("cost the same work whether or not there is such a user, or a password", async () => {
    let derived = 0;
    class Counting extends PasswordHasher {
      override matches(...asked: Parameters<PasswordHasher["matches"]>): Promise<boolean> {
        derived += 1;
        return super.matches(...asked);
      }
    }
    const hasher = new Counting({ memoryKiB: 4096, passes: 3 });
    const stored = await hasher.hash(password, "");
    const costOf = async (run: () => Promise<boolean>): Promise<number> => {
      const usage = process.cpuUsage();
      for (let count = 0; count < 20; count += 1) await run();
      const { user, system } = process.cpuUsage(usage);
      return user + system;
    };
    assert.equal(await hasher.matches(password, stored), true);
    const known = await costOf(() => hasher.matches("wrong", stored));
    const unknown = await costOf(() => hasher.matches("wrong", undefined));
    assert.equal(derived, 41);
    assert.ok(unknown > known / 3 && unknown < known * 3, `${known} us and ${unknown} us`);
  });

  test("have a code taken once, by however many at a time it is tried", async () => {
    const leo = await harness.person("leo");
    const wish = { user: "leo", password, code: harness.code(leo) };
    const answers = await Promise.all(Array.from({ length: 8 }, () => harness.post(undefined, "sign-in", wish)));
    const statuses = answers.map(({ status }) => status).toSorted((one, other) => one - other);
    assert.deepEqual(statuses, [201, 401, 401, 401, 401, 401, 401, 401]);
    assert.equal((await harness.post(undefined, "sign-in", wish)).status, 401);
    const [recoveryCode = ""] = leo.recoveryCodes;
    const byRecovery = await harness.signIn(leo, { code: recoveryCode });
    assert.equal(byRecovery.status, 201, byRecovery.text);
    const session = harness.store.get("ApiToken", { name: byRecovery.textAt("name") });
    assert.equal(session?.status.session?.by, "recovery-code");
    assert.equal((await harness.signIn(leo, { code: recoveryCode })).status, 401);
    const shown = await harness.ask(harness.admin, "GET", `${api}/users/leo`);
    assert.equal(shown.at("status.signIn.recoveryCodesLeft"), 9);
  });

  test("that are guessed at are slowed, right or wrong, each for themselves, and let in again later", async () => {
    const mia = await harness.person("mia");
    const noa = await harness.person("noa");
    harness.pass(600_000);
    const statuses: number[] = [];
    // Many at once: what is under way counts.
    const guess = { user: "mia", password: "not the password at all", code: "000000" };
    const guesses = await Promise.all(Array.from({ length: 20 }, () => harness.post(undefined, "sign-in", guess)));
    statuses.push(...guesses.map(({ status }) => status));
    assert.equal(statuses.filter((status) => status === 401).length, 10);
    assert.equal(statuses.filter((status) => status === 429).length, 10);
    const now = codeAt(mia.secret, systemClock.nowMs());
    const right = await harness.post(undefined, "sign-in", { user: "mia", password, code: now });
    assert.equal(right.status, 429, right.text);
    assert.ok(Number(right.headers["retry-after"]) > 0);
    const unknown = await Promise.all(
      Array.from({ length: 12 }, () => harness.post(undefined, "sign-in", { ...guess, user: "nobody-else" })),
    );
    assert.equal(unknown.filter(({ status }) => status === 429).length, 2);
    assert.equal((await harness.signIn(noa)).status, 201);
    harness.pass(60_000);
    assert.equal((await harness.signIn(mia)).status, 201);
    harness.pass(600_000);
  });

  test("have no try counted that nobody looked at: those that find too many others being checked", async () => {
    class Busy extends PasswordHasher {
      isBusy = false;
      override matches(...asked: Parameters<PasswordHasher["matches"]>): Promise<boolean> {
        return this.isBusy
          ? Promise.reject(new SkerryError("too-many-requests", "It is busy.", { facts: { retryAfterSeconds: 5 } }))
          : super.matches(...asked);
      }
    }
    const hasher = new Busy({ memoryKiB: 64, passes: 1 });
    await using busy = await startSignIn(undefined, { hasher });
    const pat = await busy.person("pat");
    hasher.isBusy = true;
    // More than may be wrong from here, for this name.
    for (let count = 0; count < 12; count++) {
      const { status, text } = await busy.post(undefined, "sign-in", { user: "pat", password, code: "000000" });
      assert.deepEqual([status, text.includes("It is busy.")], [429, true], text);
    }
    hasher.isBusy = false;
    const answer = await busy.post(undefined, "sign-in", {
      user: "pat",
      password,
      code: codeAt(pat.secret, busy.nowMs()),
    });
    assert.equal(answer.status, 401, answer.text);
    assert.equal((await busy.signIn(pat)).status, 201);
  });

  test("have no credential shown by any read, event, record or log line", async () => {
    const { admin, store, logged } = harness;
    const zoe = await harness.person("zoe");
    const { credentials } = store.get("User", { name: "zoe" })?.status ?? {};
    const [recoveryCode = ""] = zoe.recoveryCodes;
    const secrets = [
      password,
      zoe.secret,
      recoveryCode,
      credentials?.password?.hash,
      credentials?.password?.salt,
      credentials?.totp?.secret,
      credentials?.recoveryHashes?.[0],
    ];
    const patch = await harness.ask(admin, "PATCH", `${api}/users/zoe`, { spec: { displayName: "Zoe" } });
    const again = await harness.post(admin, "users/zoe:invite");
    const { records } = await store.audit.read({ limit: 1000 });
    const seen = [
      patch.text,
      again.text,
      (await harness.ask(admin, "GET", `${api}/users/zoe`)).text,
      (await harness.ask(admin, "GET", `${api}/users?limit=100`)).text,
      (await harness.ask(admin, "GET", `${api}/users?fields=status`)).text,
      (await harness.ask(admin, "POST", `${api}/users/zoe:invite?dryRun=true`, {})).text,
      (await harness.ask(admin, "DELETE", `${api}/users/zoe?dryRun=true`)).text,
      JSON.stringify(records),
      JSON.stringify(logged),
    ].join("\n");
    assert.ok(seen.includes("passwordSetAt") && seen.includes("Zoe"));
    for (const secret of secrets) {
      assert.ok(secret !== undefined && secret.length > 5);
      assert.ok(!seen.includes(secret), `${secret} is in ${seen.slice(seen.indexOf(secret) - 200).slice(0, 300)}`);
    }
    assert.ok(!seen.includes("credentials"));
    const database = await readFile(join(harness.directory, "state.sqlite-wal"));
    for (const secret of [password, zoe.secret, recoveryCode]) assert.ok(!database.includes(secret));
  });

  test("change their password, authenticator and recovery codes by the current ones alone, and other sessions end", async () => {
    const kim = await harness.person("kim");
    const other = (await harness.signIn(kim)).textAt("token");
    const newPassword = "another horse, another battery";
    const proof = { password, code: harness.code(kim) };
    for (const wrong of [{ password: newPassword }, { code: "123456" }])
      assert.equal((await harness.post(kim.token, "own/password", { ...proof, newPassword, ...wrong })).status, 401);
    assert.equal((await harness.post(kim.token, "own/password", { ...proof, newPassword: "short" })).status, 400);
    assert.equal((await whoAmI(other)).status, 200);
    const changed = await harness.post(kim.token, "own/password", { password, code: harness.code(kim), newPassword });
    assert.equal(changed.at("ended"), 1, changed.text);
    assert.equal((await whoAmI(other)).status, 401);
    assert.equal((await whoAmI(kim.token)).status, 200);
    assert.equal((await harness.signIn(kim)).status, 401);

    const begun = await harness.post(kim.token, "own/totp/begin", { password: newPassword, code: harness.code(kim) });
    const [secret, draft] = [begun.textAt("secret"), begun.textAt("draft")];
    assert.equal((await harness.post(kim.token, "own/totp", { draft, totpCode: harness.code(kim) })).status, 400);
    const leoToken = (await harness.person("lea")).token;
    const next = { ...kim, secret };
    assert.equal((await harness.post(leoToken, "own/totp", { draft, totpCode: harness.code(next) })).status, 409);
    const confirmed = await harness.post(kim.token, "own/totp", { draft, totpCode: harness.code(next) });
    assert.equal(confirmed.status, 200, confirmed.text);
    assert.equal((await harness.post(kim.token, "own/totp", { draft, totpCode: harness.code(next) })).status, 409);
    assert.equal((await harness.signIn(kim, { password: newPassword })).status, 401);

    const codes = { password: newPassword, code: harness.code(next) };
    const renewed = await harness.post(kim.token, "own/recovery-codes", codes);
    assert.equal(renewed.status, 200, renewed.text);
    const [old = ""] = kim.recoveryCodes;
    assert.equal((await harness.signIn(next, { password: newPassword, code: old })).status, 401);
    const fresh = renewed.textAt("recoveryCodes.0");
    assert.equal((await harness.signIn(next, { password: newPassword, code: fresh })).status, 201);
  });

  test("whose token has a limit, or that is no user's, changes no credentials", async () => {
    const ray = await harness.person("ray");
    const narrow = (await harness.signIn(ray, { role: "viewer" })).textAt("token");
    for (const token of [narrow, harness.admin])
      for (const path of ["own/password", "own/recovery-codes", "own/totp/begin"]) {
        const body = {
          password,
          code: harness.code(ray),
          ...(path.endsWith("password") ? { newPassword: password } : {}),
        };
        assert.equal((await harness.post(token, path, body)).status, 403, path);
      }
    assert.equal((await harness.post(harness.admin, "sign-out")).status, 409);
  });

  test("that are disabled or deleted are signed out, and their sessions stay ended", async () => {
    const uma = await harness.person("uma");
    const token = (await harness.signIn(uma)).textAt("token");
    const watch = makeTokenWatch(harness.store, harness.rights, systemClock);
    using held = watch.hold(authenticate(harness.store, harness.rights, token, systemClock.nowMs()));
    await harness.ask(harness.admin, "PATCH", `${api}/users/uma`, { spec: { disabled: true } });
    assert.ok(held.signal.aborted);
    watch.close();
    assert.equal((await harness.signIn(uma)).status, 401);
    await harness.ask(harness.admin, "PATCH", `${api}/users/uma`, { spec: { disabled: null } });
    assert.equal((await whoAmI(token)).status, 401);
    const again = (await harness.signIn(uma)).textAt("token");
    assert.equal((await harness.ask(harness.admin, "DELETE", `${api}/users/uma`)).status, 200);
    assert.equal((await whoAmI(again)).status, 401);
    await harness.ask(harness.admin, "PUT", `${api}/users/uma`, { spec: {} });
    assert.equal((await harness.signIn(uma)).status, 401);
    assert.equal((await whoAmI(again)).status, 401);
  });

  test("sign out everywhere at once, and a session ends by itself", async () => {
    const ivo = await harness.person("ivo");
    const tokens = [];
    for (let count = 0; count < 3; count += 1) tokens.push((await harness.signIn(ivo)).textAt("token"));
    const [first = "", second = ""] = tokens;
    const less = (await harness.signIn(ivo, { role: "viewer" })).textAt("token");
    assert.equal((await harness.post(less, "sign-out", { everywhere: true })).at("code"), "forbidden");
    assert.equal((await harness.post(less, "sign-out", {})).at("ended"), 1);
    assert.equal((await harness.post(first, "sign-out", { everywhere: true })).at("ended"), 4);
    for (const token of [...tokens, ivo.token]) assert.equal((await whoAmI(token)).status, 401);
    assert.equal((await whoAmI(second)).status, 401);
    const brief = (await harness.signIn(ivo, { lifetimeSeconds: 60 })).textAt("token");
    assert.equal((await whoAmI(brief)).status, 200);
    harness.pass(60_000);
    assert.equal((await whoAmI(brief)).status, 401);
  });

  test("whose password was hashed for less get it hashed anew when they sign in", async () => {
    await using modest = await startSignIn();
    const bob = await modest.person("bob");
    await modest.store.transact((tx) => {
      const user = tx.get("User", { name: "bob" });
      assert.ok(user?.status.credentials?.password !== undefined);
      return tx.put(user);
    });
    const weak = await new PasswordHasher({ memoryKiB: 16, passes: 1 }).hash(password, "2026-01-01T00:00:00.000Z");
    await modest.store.transact((tx) => {
      const user = tx.get("User", { name: "bob" });
      assert.ok(user !== undefined);
      const credentials = { ...user.status.credentials, password: weak };
      return tx.put({ ...user, status: { ...user.status, credentials } });
    });
    assert.equal((await modest.signIn(bob)).status, 201);
    const now = modest.store.get("User", { name: "bob" })?.status.credentials?.password;
    assert.deepEqual([now?.memoryKiB, now?.setAt], [64, weak.setAt]);
    assert.equal((await modest.signIn(bob)).status, 201);
  });
});

describe("an invitation", { timeout: 60_000 }, () => {
  let harness: SignInHarness;
  before(async () => {
    harness = await startSignIn();
  });
  after(() => harness[Symbol.asyncDispose]());
  const begin = async (code: string) => (await harness.post(undefined, "enrolment/begin", { code })).status;

  test("works once, for a day, until another one is made or its user is disabled", async () => {
    const { admin, post } = harness;
    await harness.ask(admin, "PUT", `${api}/users/tea`, { spec: {} });
    const invite = async (): Promise<string> => (await post(admin, "users/tea:invite")).textAt("secret");
    const first = await invite();
    const second = await invite();
    assert.deepEqual([await begin(first), await begin(second)], [401, 200]);
    harness.pass(86_400_001);
    assert.equal(await begin(second), 401);
    const third = await invite();
    await harness.ask(admin, "PATCH", `${api}/users/tea`, { spec: { disabled: true } });
    assert.equal(await begin(third), 401);
    await harness.ask(admin, "PATCH", `${api}/users/tea`, { spec: { disabled: null } });
    assert.equal(await begin(third), 401);
    const fourth = await invite();
    const { person, status } = await harness.enrol(fourth);
    assert.equal(status, 201);
    assert.equal(await begin(fourth), 401);
    // Anew: what there was before is worth nothing.
    const again = await harness.enrol(await invite());
    assert.equal((await harness.ask(person.token, "GET", `${api}/whoami`)).status, 401);
    assert.equal((await harness.signIn(person)).status, 401);
    assert.equal((await harness.signIn(again.person)).status, 201);
  });

  test("takes no weak password, no wrong code, and no draft of another link", async () => {
    const { admin, post } = harness;
    for (const name of ["one", "two"]) await harness.ask(admin, "PUT", `${api}/users/${name}`, { spec: {} });
    const one = (await post(admin, "users/one:invite")).textAt("secret");
    const two = (await post(admin, "users/two:invite")).textAt("secret");
    const begun = await post(undefined, "enrolment/begin", { code: one });
    const draft = begun.textAt("draft");
    const totpCode = codeAt(begun.textAt("secret"), harness.nowMs());
    const chosen = { code: one, draft, password, totpCode };
    for (const weak of ["", "short", "aaaaaaaaaaaaaaaaaaaaaa", "I am one and only one"])
      assert.equal((await post(undefined, "enrolment", { ...chosen, password: weak })).status, 400, weak);
    assert.equal((await post(undefined, "enrolment", { ...chosen, totpCode: "000000" })).status, 400);
    assert.equal((await post(undefined, "enrolment", { ...chosen, code: two })).status, 401);
    assert.equal(
      (await post(undefined, "enrolment", { ...chosen, draft: draft.replace("sealed:1:", "sealed:1:A") })).status,
      401,
    );
    assert.equal((await post(undefined, "enrolment", chosen)).status, 201);
  });
});

describe("the first start", { timeout: 60_000 }, () => {
  test("makes the first administrator by a link in a private file, once, and it dies then", async () => {
    await using harness = await startSignIn();
    assert.equal((await stat(harness.firstStartFile)).mode & 0o777, 0o600);
    const code = await harness.firstCode();
    const unnamed = await harness.enrol(code);
    assert.equal(unnamed.status, 400, unnamed.text);
    const both = await Promise.all([harness.enrol(code, "ana"), harness.enrol(code, "eve")]);
    assert.equal(both.filter(({ status }) => status === 201).length, 1);
    assert.equal(both.filter(({ status }) => status === 401).length, 1);
    const { person } = both.find(({ status }) => status === 201) ?? both[0];
    const who = await harness.ask(person.token, "GET", `${api}/whoami`);
    assert.equal(who.at("roles.0.role"), "platform-admin");
    assert.equal(harness.store.list("User").length, 1);
    await assert.rejects(stat(harness.firstStartFile));
    assert.equal((await harness.post(undefined, "enrolment/begin", { code })).status, 401);
    await harness.ask(harness.admin, "PATCH", `${api}/users/${person.name}`, { spec: { disabled: true } });
    assert.equal((await harness.post(undefined, "enrolment/begin", { code })).status, 401);
    assert.equal((await harness.signIn(person)).status, 401);
  });

  test("'s link dies after a day, and where somebody else administers by a password first", async () => {
    await using harness = await startSignIn();
    const code = await harness.firstCode();
    const begin = async () => (await harness.post(undefined, "enrolment/begin", { code })).status;
    const boss = await harness.person("boss");
    assert.equal(await begin(), 200);
    const spec = { role: "platform-admin", subjects: [{ kind: "User", name: boss.name }] };
    assert.equal((await harness.ask(harness.admin, "PUT", `${api}/role-bindings/boss`, { spec })).status, 201);
    assert.equal(await begin(), 401);
    await harness.ask(harness.admin, "DELETE", `${api}/role-bindings/boss`);
    assert.equal(await begin(), 200);
    harness.pass(86_400_001);
    assert.equal(await begin(), 401);
  });
});
