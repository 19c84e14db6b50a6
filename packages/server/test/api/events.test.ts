import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { connect } from "node:tls";
import { before, describe, test } from "node:test";
import { specs, type ApiHarness } from "./api-harness.ts";
import { useTlsApi, type TlsApi } from "./tls-suite.ts";

interface ServerEvent {
  readonly event: string;
  readonly id: number;
  readonly data: {
    readonly revision?: number;
    readonly code?: string;
    readonly type?: string;
    readonly object?: { readonly kind: string; readonly metadata: { readonly name: string } };
  };
}

/** Reads server-sent events from a response, as they come. */
async function* eventsOf(response: IncomingMessage): AsyncGenerator<ServerEvent, undefined> {
  let rest = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    rest += chunk;
    const frames = rest.split("\n\n");
    rest = frames.pop() ?? "";
    for (const frame of frames) {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1] ?? "";
      if (field("event") !== "")
        yield {
          event: field("event"),
          id: Number(field("id")),
          data: JSON.parse(field("data")) as ServerEvent["data"],
        };
    }
  }
}

describe("over real TLS", { timeout: 60_000 }, () => {
  let api: ApiHarness;
  let call: TlsApi["call"];
  let watch: TlsApi["watch"];
  let address: () => { readonly port: number | undefined; readonly ca: string };
  useTlsApi(
    (tls) => {
      ({ api, call, watch } = tls);
      address = () => ({ port: tls.listener.addresses[0]?.port, ca: tls.authority.certificate });
    },
    ["ours", "theirs"],
  );

  const create = (project: string, name: string) =>
    api.ask(api.admin, "PUT", `/api/v1/projects/${project}/volumes/${name}`, { spec: specs.Volume });

  describe("the event stream", () => {
    test("gives every change after a revision once and in order, across a reconnect", async () => {
      const since = api.store.revision;
      for (const name of ["a1", "a2", "a3"]) await create("ours", name);
      const seen: number[] = [];
      let response = await watch(api.admin, `?since=${since}`);
      assert.equal(response.headers["content-type"], "text/event-stream");
      for await (const { event, id, data } of eventsOf(response)) {
        if (event !== "change") continue;
        assert.equal(data.revision, id);
        seen.push(id);
        if (seen.length === 2) break;
      }
      await create("ours", "a4");
      response = await watch(api.admin, "", { "last-event-id": String(seen.at(-1)) });
      for await (const { event, id, data } of eventsOf(response)) {
        if (event !== "change") continue;
        seen.push(id);
        if (data.object?.metadata.name === "a4") break;
      }
      assert.deepEqual(
        seen,
        Array.from({ length: api.store.revision - since }, (_, index) => since + 1 + index),
      );
    });

    test("shows a token of one project its own changes, and moves it on past the others", async () => {
      const tenant = await api.token("tenant", "viewer", "theirs");
      const since = api.store.revision;
      await create("ours", "b1");
      await create("theirs", "b2");
      await api.ask(api.admin, "PUT", "/api/v1/api-tokens/b3", { spec: specs.ApiToken });
      await create("theirs", "b4");
      const names: string[] = [];
      for await (const { event, data } of eventsOf(await watch(tenant, `?since=${since}`))) {
        if (event !== "change") continue;
        names.push(data.object?.metadata.name ?? "");
        if (names.at(-1) === "b4") break;
      }
      assert.deepEqual(names, ["b2", "b4"]);
    });

    test("shows whoever has roles in several places, or that permit to read some kinds only, just that", async () => {
      const { admin } = api;
      const put = (path: string, spec: object) => api.ask(admin, "PUT", `/api/v1/${path}`, { spec });
      const reads = `permit (principal, action == Skerry::Action::"read", resource is Skerry::Volume);`;
      await put("roles/volumes", { policies: reads });
      await put("projects/second", { organisation: "acme" });
      const scopes = { both: [{ project: "theirs" }, { project: "second" }], some: [{ project: "theirs" }] };
      for (const [name, places] of Object.entries(scopes)) {
        await put(`users/${name}`, {});
        for (const [index, place] of places.entries())
          await put(`role-bindings/${name}-${index}`, {
            ...{ role: name === "some" ? "volumes" : "viewer", subjects: [{ kind: "User", name }] },
            ...place,
          });
      }
      const tokens = new Map<string, string>();
      for (const name of Object.keys(scopes))
        tokens.set(name, (await put(`api-tokens/${name}`, { owner: { kind: "User", name } })).textAt("secret"));
      const since = api.store.revision;
      // Half of it while they watch, so that it comes live and not from the log.
      const responses = new Map<string, IncomingMessage>();
      const change = async (suffix: string): Promise<void> => {
        for (const project of ["ours", "theirs", "second"]) {
          await create(project, `c-${suffix}`);
          await put(`projects/${project}/networks/n-${suffix}`, specs.Network);
        }
        await create("theirs", `last-${suffix}`);
      };
      await change("1");
      for (const [name, token] of tokens) responses.set(name, await watch(token, `?since=${since}`));
      const seen: Record<string, string[]> = {};
      await Promise.all(
        [...responses].map(async ([name, response]) => {
          const own: string[] = (seen[name] = []);
          for await (const { event, data } of eventsOf(response)) {
            if (event !== "change") continue;
            own.push(data.object?.metadata.name ?? "");
            if (own.at(-1) === "last-1") await change(`${name}-2`);
            if (own.at(-1) === `last-${name}-2`) break;
          }
        }),
      );
      assert.deepEqual(seen["both"]?.slice(0, 5), ["c-1", "n-1", "c-1", "n-1", "last-1"]);
      assert.deepEqual(seen["some"]?.slice(0, 2), ["c-1", "last-1"]);
      assert.equal(seen["both"]?.filter((name) => name.endsWith("both-2")).length, 5);
      assert.equal(seen["some"]?.filter((name) => name.endsWith("some-2")).length, 2);
    });

    test("gives only the kinds asked for, and no token's hash", async () => {
      const since = api.store.revision;
      await create("ours", "c1");
      await api.ask(api.admin, "PUT", "/api/v1/api-tokens/c2", { spec: specs.ApiToken });
      for await (const { event, data } of eventsOf(await watch(api.admin, `?since=${since}&kinds=ApiToken`))) {
        if (event !== "change") continue;
        assert.equal(data.object?.metadata.name, "c2");
        assert.ok(!JSON.stringify(data).includes("secretHash"));
        break;
      }
    });

    test("waits for its turn where it was asked for behind another request on the same connection", async () => {
      const since = api.store.revision;
      await create("ours", "d1");
      const { port, ca } = address();
      const socket = connect({ host: "127.0.0.1", port, ca });
      const head = `HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${api.admin}\r\n\r\n`;
      socket.write(`GET /api/v1/projects/ours/volumes/d1 ${head}GET /api/v1/events?since=${since} ${head}`);
      let text = "";
      for await (const chunk of socket.setEncoding("utf8") as AsyncIterable<string>) {
        text += chunk;
        if (text.includes(`id: ${since + 1}\nevent: change\n`)) break;
      }
      const [before = "", stream = ""] = text.split("HTTP/1.1 200 OK\r\n").slice(1);
      assert.match(before, /\r\n\r\n\{.*"name":"d1".*\}$/s);
      assert.match(stream, /text\/event-stream.*\r\n\r\nretry: 1000\n\nid: \d+\nevent: heartbeat\n/s);
    });

    test("refuses a revision that is ahead or that is none", async () => {
      const ahead = await watch(api.admin, `?since=${api.store.revision + 1000}`);
      assert.equal(ahead.statusCode, 410);
      ahead.destroy();
      for (const query of ["?since=x", "?since=-1", "?kinds=Colour"]) {
        const refused = await watch(api.admin, query);
        assert.equal(refused.statusCode, 400, query);
        refused.destroy();
      }
    });

    test("ends with a problem when its token is deleted, and when it expires", async () => {
      for (const end of ["deleted", "expired"] as const) {
        const token = await api.token(
          `ending-${end}`,
          "viewer",
          undefined,
          end === "expired" ? Date.now() + 400 : undefined,
        );
        const response = await watch(token, "");
        const events = eventsOf(response);
        assert.equal((await events.next()).value?.event, "heartbeat");
        if (end === "deleted") await api.ask(api.admin, "DELETE", `/api/v1/api-tokens/ending-${end}`);
        let last: ServerEvent | undefined;
        for await (const event of events) last = event;
        assert.deepEqual([last?.event, last?.data.code], ["problem", "unauthenticated"]);
      }
    });
  });

  describe("an image's content", () => {
    const path = "/api/v1/projects/ours/images/tiny/content";
    const octets = { "content-type": "application/octet-stream" };
    const content = randomBytes(700_000);
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    const files = () => readdir(join(api.directory, "images"));
    before(async () => {
      const spec = { ...specs.Image, digest, sizeBytes: content.length };
      assert.equal((await api.ask(api.admin, "PUT", "/api/v1/projects/ours/images/tiny", { spec })).status, 201);
    });

    async function upload(
      body: Buffer,
      headers: Record<string, string> = {},
    ): Promise<{ readonly status: number; readonly text: string }> {
      const request = call(api.admin, "PUT", path, { ...octets, ...headers });
      const answered = once(request, "response") as Promise<[IncomingMessage]>;
      for (let offset = 0; offset < body.length; offset += 100_000)
        request.write(body.subarray(offset, offset + 100_000));
      request.end();
      const [response] = await answered;
      return { status: response.statusCode ?? 0, text: (await response.setEncoding("utf8").toArray()).join("") };
    }

    test("that is shorter, longer or other than declared is refused and leaves nothing", async () => {
      const changed = Buffer.from(content);
      changed.writeUInt8(changed.readUInt8(5) ^ 1, 5);
      for (const body of [content.subarray(0, 600_000), Buffer.concat([content, Buffer.from("x")]), changed]) {
        const answer = await upload(body);
        assert.equal(answer.status, 422, answer.text);
        assert.match(answer.text, /"digest-mismatch"/);
      }
      assert.equal((await upload(content, { "content-length": "5" }).catch(() => ({ status: 422 }))).status, 422);
      assert.deepEqual(await files(), []);
      assert.equal(api.store.get("Image", { project: "ours", name: "tiny" })?.status.state, "pending");
    });

    test("that names another file of the host, as qcow2 can, is refused and leaves nothing", async () => {
      const header = (change: (head: Buffer) => void): Buffer => {
        const head = Buffer.alloc(104);
        head.writeUInt32BE(0x514649fb, 0);
        head.writeUInt32BE(3, 4);
        change(head);
        return head;
      };
      const harmful = [header((head) => head.writeUInt8(104, 15)), header((head) => head.writeUInt8(4, 79))];
      for (const body of harmful) {
        const own = `sha256:${createHash("sha256").update(body).digest("hex")}`;
        const spec = { ...specs.Image, format: "qcow2", digest: own, sizeBytes: body.length };
        await api.ask(api.admin, "PUT", "/api/v1/projects/ours/images/sly", { spec });
        const answer = await api.ask(api.admin, "PUT", path.replace("tiny", "sly"), body, octets);
        assert.equal(answer.status, 400, answer.text);
        assert.match(answer.text, /names a (backing|data) file/);
        assert.deepEqual(await files(), []);
        await api.ask(api.admin, "DELETE", "/api/v1/projects/ours/images/sly");
      }
    });

    test("that breaks off leaves nothing", async () => {
      const request = call(api.admin, "PUT", path, { ...octets, "content-length": String(content.length) });
      request.on("error", () => undefined);
      await new Promise((resolve) => request.write(content.subarray(0, 300_000), resolve));
      const deadline = Date.now() + 5000;
      while ((await files()).length === 0) assert.ok(Date.now() < deadline, "the upload began");
      request.destroy();
      while ((await files()).length > 0) assert.ok(Date.now() < deadline, "the partial file went");
    });

    test("that is what was declared makes the image ready, and again changes nothing", async () => {
      const answer = await upload(content);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(await files(), [digest.replace(":", "-")]);
      assert.equal(api.store.get("Image", { project: "ours", name: "tiny" })?.status.state, "ready");
      const { revision } = api.store;
      assert.equal((await upload(content)).status, 200);
      assert.equal(api.store.revision, revision);
    });

    test("of an image that does not exist, or as JSON, is refused", async () => {
      assert.equal(
        (await api.ask(api.admin, "PUT", path.replace("tiny", "gone"), Buffer.from("x"), octets)).status,
        404,
      );
      assert.equal((await api.ask(api.admin, "PUT", path, {})).status, 400);
    });
  });

  test("headers that are too large are refused as a problem", async () => {
    const request = call(api.admin, "GET", "/livez", { "x-large": "x".repeat(20_000) });
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 413);
    assert.match((await response.setEncoding("utf8").toArray()).join(""), /"too-large"/);
  });
});
