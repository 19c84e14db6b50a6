import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import type { ErrorCode, InstanceResource, KindName, ResourceOf } from "@skerry/model";
import { parseJoinToken } from "@skerry/protocol";
import type { Store, Transaction } from "@skerry/store";
import type { IntentOutcome, IntentTable, KindIntents } from "../../src/intents.ts";
import { calmZone, useFleet } from "./fleet-suite.ts";
import type { ModelFleet } from "./model-fleet.ts";
import { act, contextAt, create, imageSpec, instanceSpec, nodeFacts, update } from "./zone-fixture.ts";

describe("intents", () => {
  let store: Store;
  let fleet: ModelFleet;
  let intents: IntentTable;

  const nowMs = () => fleet.clock.nowMs();
  const does = async (work: (tx: Transaction) => IntentOutcome) => (await store.transact(work)).result;
  const refuses = (work: (tx: Transaction) => IntentOutcome, code: ErrorCode, detail: RegExp) => {
    const { revision } = store;
    assert.throws(
      () => store.rehearse(work),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, detail);
        return true;
      },
    );
    assert.equal(store.revision, revision);
  };
  const get = <K extends KindName>(kind: K, name: string, project?: string): ResourceOf<K> => {
    const found = store.get(kind, { name, project });
    assert.ok(found !== undefined, `${kind} ${name}`);
    return found;
  };
  const make =
    <K extends KindName>(kind: K, name: string, spec: ResourceOf<K>["spec"], project?: string) =>
    (tx: Transaction) =>
      create(tx, intents, kind, { name, ...(project === undefined ? {} : { project }) }, spec, nowMs());
  const instance = (name: string, spec: Partial<InstanceResource["spec"]> = {}) =>
    make("Instance", name, { ...instanceSpec, ...spec }, "shop");
  const remove =
    <K extends KindName>(resource: ResourceOf<K>) =>
    (tx: Transaction) =>
      (intents[resource.kind as K] as unknown as KindIntents<K>).remove(tx, resource, contextAt(nowMs()));
  const running = async (name: string, spec: Partial<InstanceResource["spec"]> = {}) => {
    await does(instance(name, spec));
    await fleet.calm();
    return get("Instance", name, "shop");
  };

  useFleet(
    (suite) => ({ store, fleet } = suite),
    async (suite) => {
      await calmZone()(suite);
      ({ intents } = fleet.controllers);
    },
  );

  describe("of the zone's kinds", () => {
    test("refuse references to what is not there, naming the field", () => {
      refuses(
        make("Project", "lab", { organisation: "nobody" }),
        "invalid-request",
        /^spec\.organisation names the organisation nobody/,
      );
      refuses(
        make("Site", "rome", { provider: "italica", country: "IT", latitude: 0, longitude: 0, tier: "cloud" }),
        "invalid-request",
        /provider/,
      );
      refuses(make("Node", "rom-1", { site: "rome" }), "invalid-request", /site/);
      refuses(make("JoinToken", "t", { site: "rome" }), "invalid-request", /site/);
      refuses(make("ApiToken", "t", { role: "viewer", project: "lab" }), "invalid-request", /project/);
      refuses(make("Network", "lan", { cidr: "10.1.0.0/24" }, "lab"), "not-found", /no project lab/);
    });

    test("refuse to delete what others stand on, and say who", async () => {
      await running("web");
      refuses(remove(get("Organisation", "acme")), "in-use", /project shop/);
      refuses(remove(get("Project", "shop")), "in-use", /instance web, volume web, network lan, image islet/);
      refuses(remove(get("Provider", "gallia")), "in-use", /site paris/);
      refuses(remove(get("Site", "paris")), "in-use", /node par-1/);
      const { assignment } = get("Instance", "web", "shop");
      refuses(remove(get("Node", assignment?.node ?? "")), "in-use", /instance shop\/web/);
      refuses(remove(get("Network", "lan", "shop")), "in-use", /instance web/);
      refuses(remove(get("Volume", "web", "shop")), "in-use", /instance shop\/web/);
    });

    test("give each node a place in the overlay of its own", async () => {
      await does(make("Node", "par-2", { site: "paris" }));
      const places = store.list("Node").map(({ status }) => status.overlayIndex);
      assert.equal(new Set(places).size, 4);
      assert.ok(!places.includes(undefined));
    });

    test("need the access of a provider whose hosts are provisioned, and an address, to provision a node", async () => {
      refuses(make("Provider", "iberia", { driver: "ssh", country: "ES" }), "invalid-request", /spec\.ssh is needed/);
      refuses((tx) => act(tx, intents, get("Node", "mad-1"), "provision", {}, nowMs()), "conflict", /driver manual/);
      await does(
        make("Provider", "metal", { driver: "ssh", country: "ES", ssh: { user: "root", privateKey: "sealed" } }),
      );
      await does(
        make("Site", "bilbao", { provider: "metal", country: "ES", latitude: 43, longitude: -3, tier: "near-edge" }),
      );
      await does(make("Node", "bil-1", { site: "bilbao" }));
      refuses((tx) => act(tx, intents, get("Node", "bil-1"), "provision", {}, nowMs()), "conflict", /no address/);
    });

    test("keep a changed site or provider from breaking an instance's hard constraints", async () => {
      await running("web", { placement: { countries: ["FR"] } });
      const change = (tx: Transaction) => update(tx, intents, get("Site", "paris"), { country: "DE" }, nowMs());
      refuses(change, "conflict", /shop\/web \(country\)/);
    });
  });

  describe("of tokens", () => {
    test("show a join token's secret once, with the authority's fingerprint, and keep its hash", async () => {
      const { resource, secret = "" } = await does(make("JoinToken", "t", { site: "paris", lifetimeSeconds: 60 }));
      const parts = parseJoinToken(secret);
      assert.equal(parts?.authorityFingerprint, "f".repeat(64));
      assert.equal(parts.id, resource.metadata.id);
      const { status } = get("JoinToken", "t");
      assert.equal(status.secretHash, createHash("sha256").update(parts.secret).digest("hex"));
      assert.equal(status.expiresAt, new Date(nowMs() + 60_000).toISOString());
      assert.ok(!JSON.stringify(get("JoinToken", "t")).includes(parts.secret));
    });

    test("do not let a token's rights be changed", async () => {
      const { secret = "" } = await does(make("ApiToken", "ci", { role: "viewer" }));
      assert.match(secret, /^skt1\.atk_[0-9a-z]{26}\.[A-Za-z0-9_-]{43}$/);
      refuses((tx) => update(tx, intents, get("ApiToken", "ci"), { role: "admin" }, nowMs()), "conflict", /spec.role/);
    });
  });

  describe("of networks", () => {
    test("take a range that guests can use, and correct one with a slip", () => {
      const range = (cidr: string) => make("Network", "n", { cidr }, "shop");
      refuses(range("10.30.0.7/24"), "invalid-request", /bits set beyond its prefix/);
      refuses(range("10.999.0.0/24"), "invalid-request", /must be an IPv4 network/);
      refuses(range("100.64.0.0/16"), "invalid-request", /100.64.0.0\/10/);
      refuses(range("127.0.0.0/24"), "invalid-request", /127.0.0.0\/8/);
      refuses(range("10.20.0.128/25"), "conflict", /overlaps 10.20.0.0\/24 of the network lan/);
    });

    test("may overlap between projects, with numbers of their own", async () => {
      await does(make("Project", "lab", { organisation: "acme" }));
      await does(make("Network", "lan", { cidr: "10.20.0.0/24" }, "lab"));
      const [one, other] = [get("Network", "lan", "shop"), get("Network", "lan", "lab")];
      assert.notEqual(one.status.vni, other.status.vni);
    });

    test("lease each instance the lowest free address after the gateway, and free it with the instance", async () => {
      const [one, two] = [await running("one"), await running("two")];
      assert.deepEqual(
        [one.status.addresses[0]?.address, two.status.addresses[0]?.address],
        ["10.20.0.2", "10.20.0.3"],
      );
      assert.match(one.status.addresses[0]?.mac ?? "", /^02:/);
      await does(remove(one));
      await fleet.calm();
      assert.equal(fleet.controllers.freshen(get("Network", "lan", "shop")).status.leased, 1);
      assert.equal((await running("three")).status.addresses[0]?.address, "10.20.0.2");
    });

    test("say when they have no address left", async () => {
      await does(make("Network", "tiny", { cidr: "10.40.0.0/29" }, "shop"));
      for (let count = 0; count < 5; count++) await does(instance(`t${count}`, { networks: ["tiny"] }));
      refuses(instance("t5", { networks: ["tiny"] }), "address-exhausted", /All 5 addresses/);
    });

    test("keep their range while addresses of it are leased, and go when nobody has one", async () => {
      const web = await running("web");
      const change = (tx: Transaction) =>
        update(tx, intents, get("Network", "lan", "shop"), { cidr: "10.21.0.0/24" }, nowMs());
      refuses(change, "conflict", /spec.cidr/);
      await does(remove(web));
      await fleet.calm();
      await does(change);
      await does(remove(get("Network", "lan", "shop")));
      assert.equal(store.get("Network", { project: "shop", name: "lan" }), undefined);
    });
  });

  describe("of instances", () => {
    test("make place, disk and addresses in one transaction, and say why there", async () => {
      const { resource, operation } = await does(instance("web", { placement: { countries: ["GR"] } }));
      assert.equal(operation?.spec.type, "instance.create");
      const { assignment } = resource as InstanceResource;
      assert.equal(assignment?.node, "ath-1");
      assert.match(assignment.reason, /ath-1/);
      const volume = get("Volume", "web", "shop");
      assert.deepEqual([volume.assignment?.nodeId, volume.spec.sizeMiB], [assignment.nodeId, 64]);
    });

    test("refuse what no node satisfies, with the reason, and leave nothing behind", () => {
      refuses(instance("web", { placement: { countries: ["IT"] } }), "no-placement", /country/);
      refuses(instance("web", { vcpus: 9 }), "no-placement", /capacity/);
      assert.equal(store.get("Volume", { project: "shop", name: "web" }), undefined);
      assert.equal(fleet.controllers.freshen(get("Network", "lan", "shop")).status.leased, 0);
    });

    test("count what is assigned against a node's capacity in the same transaction", async () => {
      const here = { placement: { countries: ["FR"] }, vcpus: 3 };
      const both = store.transact((tx) => [instance("a", here)(tx), instance("b", here)(tx)]);
      await both;
      refuses(instance("c", here), "no-placement", /capacity/);
      await does(instance("d", { ...here, vcpus: 2 }));
    });

    test("need an image with content that fits", async () => {
      await does(make("Image", "draft", { ...imageSpec, minMemoryMiB: 512 }, "shop"));
      refuses(instance("web", { image: "none" }), "invalid-request", /spec\.image/);
      refuses(instance("web", { image: "draft" }), "conflict", /no content yet/);
      const draft = get("Image", "draft", "shop");
      await store.transact((tx) => tx.put({ ...draft, status: { state: "ready" } }));
      refuses(instance("web", { image: "draft" }), "invalid-request", /memoryMiB must be at least 512/);
      refuses(instance("web", { diskMiB: 32 }), "invalid-request", /diskMiB must be at least 64/);
      refuses(instance("web", { image: "other/islet" }), "invalid-request", /spec\.image/);
    });

    test("keep an image until no disk is being made from it", async () => {
      await does(instance("web"));
      refuses(remove(get("Image", "islet", "shop")), "in-use", /volume shop\/web, which is being made/);
      await fleet.calm();
      await does(remove(get("Image", "islet", "shop")));
    });

    test("let an image go that guests were made from, and these stop, grow, move and start without it", async () => {
      await does(instance("web"));
      await fleet.calm();
      await does(remove(get("Image", "islet", "shop")));
      await does((tx) => act(tx, intents, get("Instance", "web", "shop"), "stop", {}, nowMs()));
      await fleet.calm();
      await does((tx) => update(tx, intents, get("Instance", "web", "shop"), { diskMiB: 128 }, nowMs()));
      await fleet.calm();
      const { node = "" } = get("Instance", "web", "shop").assignment ?? {};
      await does((tx) => act(tx, intents, get("Instance", "web", "shop"), "migrate", {}, nowMs()));
      await fleet.calm();
      await does((tx) => act(tx, intents, get("Instance", "web", "shop"), "start", {}, nowMs()));
      await fleet.calm();
      const { status, assignment } = get("Instance", "web", "shop");
      assert.equal(status.state, "running");
      assert.notEqual(assignment?.node, node);
    });

    test("keep an image from which an instance would be started anew, and name the instance", async () => {
      await running("web", { onDisconnect: { replaceAfterSeconds: 60 } });
      const gone = () => remove(get("Image", "islet", "shop"));
      refuses(gone(), "in-use", /still used by instance shop\/web, which would start anew from it/);
      await does((tx) => update(tx, intents, get("Instance", "web", "shop"), { onDisconnect: "keep" }, nowMs()));
      await does(gone());
      const again = { onDisconnect: { replaceAfterSeconds: 60 } };
      refuses(
        (tx) => update(tx, intents, get("Instance", "web", "shop"), again, nowMs()),
        "conflict",
        /image islet is not there any more/,
      );
    });

    test("delete a volume that has no instance, on its node first, and refuse one that has, with the command", async () => {
      const web = await running("web");
      const volume = () => get("Volume", "web", "shop");
      refuses(remove(volume()), "in-use", /used by instance shop\/web/);
      // As a restored or older state may have it.
      await store.transact((tx) => tx.delete("Instance", web.metadata.id));
      for (const node of fleet.nodes) node.guests.clear();
      await does(remove(volume()));
      assert.ok(volume().metadata.deletedAt !== undefined, "its node still has it");
      await fleet.calm();
      assert.equal(store.get("Volume", { project: "shop", name: "web" }), undefined);
      assert.ok(fleet.nodes.every((node) => node.disks.size === 0));
    });

    test("tell the owner of a shared image that other projects need it, and not which", async () => {
      await does(make("Project", "lab", { organisation: "acme" }));
      await store.transact((tx) => update(tx, intents, get("Image", "islet", "shop"), { shared: true }, nowMs()));
      const { networks: _ofShop, ...spec } = instanceSpec;
      await does(make("Instance", "secret", { ...spec, image: "shop/islet" }, "lab"));
      const noNames = /^(?!.*(lab|secret)).*still used by one of another project/;
      refuses(remove(get("Image", "islet", "shop")), "in-use", noNames);
    });

    test("change vCPUs, memory and disk only while it is stopped, and let the disk only grow", async () => {
      const web = await running("web");
      refuses((tx) => update(tx, intents, web, { vcpus: 2 }, nowMs()), "conflict", /only while it is stopped/);
      await does((tx) => act(tx, intents, web, "stop", {}, nowMs()));
      await fleet.calm();
      const stopped = get("Instance", "web", "shop");
      assert.equal(stopped.status.state, "stopped");
      refuses((tx) => update(tx, intents, stopped, { diskMiB: 32 }, nowMs()), "invalid-request", /only grows/);
      refuses(
        (tx) => update(tx, intents, stopped, { memoryMiB: 9000 }, nowMs()),
        "conflict",
        /no room for that: 8\.7 GiB of memory asked, 8 GiB free/,
      );
      const { operation } = await does((tx) => update(tx, intents, stopped, { vcpus: 2, diskMiB: 128 }, nowMs()));
      assert.equal(operation?.spec.type, "instance.resize");
      assert.equal(get("Volume", "web", "shop").spec.sizeMiB, 128);
    });

    test("keep what the guest was made with", async () => {
      const web = await running("web");
      refuses((tx) => update(tx, intents, web, { image: "other" }, nowMs()), "conflict", /spec.image/);
      refuses((tx) => update(tx, intents, web, { networks: [] }, nowMs()), "conflict", /spec.networks/);
      refuses((tx) => update(tx, intents, web, { userData: "#cloud-config" }, nowMs()), "conflict", /spec.userData/);
    });

    test("hold a changed placement against where it is, and say how to get where it may be", async () => {
      const web = await running("web", { placement: { countries: ["FR", "ES"] } });
      const elsewhere = web.assignment?.node === "par-1" ? "ES" : "FR";
      const change = (tx: Transaction) => update(tx, intents, web, { placement: { countries: [elsewhere] } }, nowMs());
      refuses(change, "conflict", /is on \S+, where this placement would not allow it: country/);
    });

    test("stop at once when forced, after the grace that is given, and with the node's otherwise", async () => {
      const web = await running("web");
      const graceful = await does((tx) => act(tx, intents, web, "stop", {}, nowMs()));
      assert.equal((graceful.resource as InstanceResource).assignment?.stopGraceMs, undefined);
      const forced = await does((tx) =>
        act(tx, intents, get("Instance", "web", "shop"), "stop", { force: true }, nowMs()),
      );
      assert.equal((forced.resource as InstanceResource).assignment?.stopGraceMs, 0);
      const patient = await does((tx) =>
        act(tx, intents, get("Instance", "web", "shop"), "stop", { graceSeconds: 90 }, nowMs()),
      );
      assert.equal((patient.resource as InstanceResource).assignment?.stopGraceMs, 90_000);
      assert.equal(store.getById("Operation", graceful.operation?.metadata.id ?? "")?.status.state, "cancelled");
    });

    test("refuse to migrate where it is, where nothing is, and where its constraints forbid", async () => {
      const web = await running("web", { placement: { countries: ["FR", "ES"] } });
      const here = web.assignment?.node ?? "";
      const migrate = (input: Readonly<Record<string, unknown>>) => (tx: Transaction) =>
        act(tx, intents, web, "migrate", input, nowMs());
      refuses(migrate({ toNode: here }), "conflict", /already/);
      refuses(migrate({ toProvider: "nobody" }), "invalid-request", /toProvider/);
      refuses(migrate({ toProvider: "hellas" }), "no-placement", /country/);
      const { site } = get("Node", here).spec;
      refuses(migrate({ toSite: site }), "no-placement", /no other node at site \w+ than where it is/);
      const { resource, operation } = await does(migrate({}));
      assert.notEqual((resource as InstanceResource).assignment?.movingTo?.node, here);
      assert.equal(operation?.spec.type, "instance.migrate");
      refuses(migrate({}), "busy", /instance.migrate is already working/);
      refuses(
        (tx) => act(tx, intents, get("Instance", "web", "shop"), "stop", {}, nowMs()),
        "busy",
        /instance.migrate is already working/,
      );
    });

    test("keep room at the target for one on its way", async () => {
      const web = await running("web", { vcpus: 5, placement: { countries: ["FR", "ES"] } });
      await does((tx) => act(tx, intents, web, "migrate", {}, nowMs()));
      refuses(instance("other", { vcpus: 5, placement: { countries: ["FR", "ES"] } }), "no-placement", /capacity/);
    });

    test("delete guest and disk on the node before the objects, and replace what only watches", async () => {
      const { operation: creation } = await does(instance("web"));
      const { operation } = await does((tx) => remove(get("Instance", "web", "shop"))(tx));
      assert.equal(store.getById("Operation", creation?.metadata.id ?? "")?.status.state, "cancelled");
      assert.ok(get("Instance", "web", "shop").metadata.deletedAt !== undefined);
      await fleet.calm();
      assert.equal(store.get("Instance", { project: "shop", name: "web" }), undefined);
      assert.equal(store.get("Volume", { project: "shop", name: "web" }), undefined);
      assert.equal(store.getById("Operation", operation?.metadata.id ?? "")?.status.state, "succeeded");
      assert.ok(fleet.nodes.every((node) => node.disks.size === 0 && node.guests.size === 0));
    });

    test("take a creation back when it is cancelled, and leave what failed to be looked at", async () => {
      const node = fleet.nodes.find(({ name }) => name === "ath-1");
      assert.ok(node !== undefined);
      await fleet.unlink(node);
      node.alive = false;
      const stored = get("Node", "ath-1");
      await store.transact((tx) =>
        tx.put({ ...stored, status: { ...stored.status, connected: true, facts: nodeFacts } }),
      );
      const { operation } = await does(instance("web", { placement: { countries: ["GR"] } }));
      await does((tx) =>
        act(
          tx,
          intents,
          store.getById("Operation", operation?.metadata.id ?? "") ?? assert.fail(),
          "cancel",
          {},
          nowMs(),
        ),
      );
      await fleet.settle();
      node.alive = true;
      await fleet.calm();
      assert.equal(store.getById("Operation", operation?.metadata.id ?? "")?.status.state, "cancelled");
      assert.equal(store.get("Instance", { project: "shop", name: "web" }), undefined);
    });
  });
});
