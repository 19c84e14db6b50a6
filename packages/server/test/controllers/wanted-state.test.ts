import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type {
  ImageResource,
  InstanceResource,
  NetworkResource,
  NodeFacts,
  NodeResource,
  VolumeResource,
} from "@skerry/model";
import { parserOf } from "@skerry/model";
import { WantedState } from "@skerry/protocol";
import type { FleetView } from "../../src/controllers/fleet-view.ts";
import { wantedStateOf } from "../../src/controllers/wanted-state.ts";
import { imageSpec, nodeFacts } from "./zone-fixture.ts";

const at = "2026-01-01T00:00:00.000Z";
const id = (prefix: string, letter: string) => `${prefix}_${letter.repeat(26)}`;
const metadata = (prefix: string, letter: string, name: string, project?: string) => ({
  name,
  ...(project === undefined ? {} : { project }),
  id: id(prefix, letter),
  revision: 1,
  generation: 1,
  labels: {},
  createdAt: at,
  updatedAt: at,
});

function node(letter: string, index: number): NodeResource {
  return {
    kind: "Node",
    metadata: metadata("nod", letter, `node-${letter}`),
    spec: { site: "here" },
    status: { publicKey: `key-${letter}`, overlayIndex: index, facts: nodeFacts, connected: true, conditions: [] },
  };
}

const a = node("a", 1);
const b = node("b", 2);
const nodeA = { node: a.metadata.name, nodeId: a.metadata.id };
const nodeB = { node: b.metadata.name, nodeId: b.metadata.id };

const image: ImageResource = {
  kind: "Image",
  metadata: metadata("img", "c", "islet", "shop"),
  spec: imageSpec,
  status: { state: "ready" },
};
const network: NetworkResource = {
  kind: "Network",
  metadata: metadata("net", "d", "lan", "shop"),
  spec: { cidr: "10.20.0.0/24" },
  status: { vni: 4096, conditions: [] },
};

function volume(assignment: Partial<NonNullable<VolumeResource["assignment"]>>): VolumeResource {
  return {
    kind: "Volume",
    metadata: metadata("vol", "e", "web", "shop"),
    spec: { sizeMiB: 64, image: "islet", instance: "web" },
    assignment: { ...nodeA, epoch: 1, since: at, reason: "", ...assignment },
    status: { state: "absent", conditions: [] },
  };
}

function instance(
  assignment: Partial<NonNullable<InstanceResource["assignment"]>>,
  spec: Partial<InstanceResource["spec"]> = {},
): InstanceResource {
  return {
    kind: "Instance",
    metadata: metadata("ins", "f", "web", "shop"),
    spec: { vcpus: 1, memoryMiB: 96, image: "islet", networks: ["lan"], ...spec },
    assignment: { ...nodeA, epoch: 1, since: at, reason: "", ...assignment },
    status: {
      state: "pending",
      health: "unknown",
      addresses: [{ network: "lan", address: "10.20.0.2", mac: "02:00:00:00:00:01" }],
      conditions: [],
    },
  };
}

/** A fleet in which every object concerns every node: what is said to whom is wanted-state's own doing. */
function fleet(
  objects: { readonly instance?: InstanceResource; readonly volume?: VolumeResource },
  nodes: readonly NodeResource[] = [a, b],
): FleetView {
  const instances = objects.instance === undefined ? [] : [objects.instance];
  const carriers = instances.flatMap(({ assignment }) => [
    assignment?.nodeId ?? "",
    ...(assignment?.movingTo === undefined ? [] : [assignment.movingTo.nodeId]),
  ]);
  return {
    revision: 7,
    node: (nodeId) => nodes.find((candidate) => candidate.metadata.id === nodeId),
    instancesOn: () => instances,
    instanceIdsOn: () => instances.map(({ metadata }) => metadata.id),
    volumeIdsOn: () => (objects.volume === undefined ? [] : [objects.volume.metadata.id]),
    volumesOn: () => (objects.volume === undefined ? [] : [objects.volume]),
    exchangedOn: () => (objects.volume === undefined ? [] : [objects.volume]),
    networksOn: (nodeId) => (carriers.includes(nodeId) ? [network] : []),
    instanceOn: () => objects.instance,
    volumeOn: () => objects.volume,
    rootVolume: () => objects.volume,
    network: () => network,
    networkById: (networkId) => (networkId === network.metadata.id ? network : undefined),
    nodesOn: () => carriers,
    image: () => image,
  };
}

const parse = parserOf(WantedState, "wanted state");

function wanted(view: FleetView, of: NodeResource): WantedState {
  const content = wantedStateOf(view, of.metadata.id);
  assert.ok(content !== undefined);
  // Whatever it is, it is a message that an agent takes.
  return parse({ revision: 7, ...content });
}

describe("what is wanted of a node", () => {
  test("is nothing at all for one that has no place in the overlay yet", () => {
    const { overlayIndex: _none, ...status } = a.status;
    assert.equal(wantedStateOf(fleet({}, [{ ...a, status }]), a.metadata.id), undefined);
    assert.equal(wantedStateOf(fleet({}), "nod_unknown"), undefined);
  });

  test("is the whole instance on the node of its assignment, and nothing of it on another", () => {
    const view = fleet({ instance: instance({}), volume: volume({}) });
    const here = wanted(view, a);
    assert.deepEqual(here.volumes, [
      {
        id: id("vol", "e"),
        presence: "present",
        epoch: 1,
        sizeMiB: 64,
        origin: { kind: "image", digest: imageSpec.digest, sizeBytes: imageSpec.sizeBytes, format: "qcow2" },
        access: "write",
      },
    ]);
    const [guest] = here.instances;
    assert.equal(guest?.power, "running");
    assert.equal(guest.presence, "present");
    assert.deepEqual(guest.nics, [
      { networkId: id("net", "d"), mac: "02:00:00:00:00:01", address: "10.20.0.2/24", gateway: "10.20.0.1" },
    ]);
    assert.deepEqual(
      here.networks.map(({ presence, peers }) => [presence, peers]),
      [["present", []]],
    );
    const there = wanted(view, b);
    assert.deepEqual([there.instances, there.volumes, there.networks, there.peers], [[], [], [], []]);
  });

  test("never makes a disk anew that was there once", () => {
    const [disk] = wanted(fleet({ instance: instance({}), volume: volume({ filled: true }) }), a).volumes;
    assert.deepEqual(disk?.origin, { kind: "existing" });
  });

  test("is stopped while an operation holds it, whatever the spec says", () => {
    const held = instance({ heldBy: id("opr", "g") }, { power: "running" });
    assert.equal(wanted(fleet({ instance: held, volume: volume({}) }), a).instances[0]?.power, "stopped");
  });

  test("is gone, guest and disk, once its removal was ordered", () => {
    const removal = { since: 3, done: false };
    const here = wanted(fleet({ instance: instance({ removal }), volume: volume({ removal, filled: true }) }), a);
    assert.deepEqual([here.instances[0]?.presence, here.volumes[0]?.presence], ["absent", "absent"]);
  });

  test("is a disk offered by its owner and imported by the other, who know each other, and written by neither", () => {
    const moving = volume({
      filled: true,
      offeredTo: { nodeId: b.metadata.id, ticket: "t1" },
      copies: [{ ...nodeB, epoch: 2, purpose: "import", since: 3 }],
    });
    const view = fleet({ instance: instance({ heldBy: id("opr", "g"), movingTo: nodeB }), volume: moving });
    const [source, target] = [wanted(view, a), wanted(view, b)];
    assert.deepEqual([source.volumes[0]?.access, source.volumes[0]?.epoch], ["offer", 1]);
    assert.deepEqual(source.volumes[0]?.offeredTo, { nodeId: b.metadata.id, ticket: "t1" });
    assert.deepEqual([target.volumes[0]?.access, target.volumes[0]?.epoch], ["hold", 2]);
    assert.deepEqual(target.volumes[0]?.origin, { kind: "import", fromNode: a.metadata.id, ticket: "t1" });
    assert.deepEqual(target.instances, []);
    assert.deepEqual([source.peers[0]?.nodeId, target.peers[0]?.nodeId], [b.metadata.id, a.metadata.id]);
    assert.deepEqual(
      target.networks.map(({ peers }) => peers),
      [[a.metadata.id]],
    );
  });

  test("passes on of a peer's reach only what others can read: they would refuse the whole wish", () => {
    const moving = volume({ filled: true, offeredTo: { nodeId: b.metadata.id, ticket: "t1" } });
    const reach = (facts: Partial<NodeFacts>) => {
      const peer = { ...b, status: { ...b.status, facts: { ...nodeFacts, ...facts } } };
      const [seen] = wanted(fleet({ instance: instance({}), volume: moving }, [a, peer]), a).peers;
      return [seen?.dataEndpoint, seen?.overlayEndpoint, seen?.overlayPublicKey];
    };
    const { dataEndpoint, overlayEndpoint, overlayPublicKey } = nodeFacts;
    assert.deepEqual(reach({}), [dataEndpoint, overlayEndpoint, overlayPublicKey]);
    assert.deepEqual(reach({ overlayEndpoint: "192.0.2.1:51820 peer x" }), [dataEndpoint, undefined, overlayPublicKey]);
    assert.deepEqual(reach({ overlayPublicKey: "-h" }), [dataEndpoint, overlayEndpoint, undefined]);
    assert.deepEqual(reach({ dataEndpoint: "192.0.2.1:0" }), [undefined, overlayEndpoint, overlayPublicKey]);
  });

  test("after the switch is to run at the target, and at the source to keep the disk and lose the guest", () => {
    const moved = instance({ ...nodeB, epoch: 2, former: [{ ...nodeA, epoch: 1, since: 5 }] });
    const disk = volume({
      ...nodeB,
      epoch: 2,
      filled: true,
      copies: [{ ...nodeA, epoch: 1, purpose: "hold", since: 5 }],
    });
    const view = fleet({ instance: moved, volume: disk });
    const [source, target] = [wanted(view, a), wanted(view, b)];
    assert.deepEqual([target.instances[0]?.power, target.instances[0]?.epoch], ["running", 2]);
    assert.deepEqual([target.volumes[0]?.access, target.volumes[0]?.epoch], ["write", 2]);
    assert.deepEqual([source.instances[0]?.presence, source.instances[0]?.power], ["absent", "stopped"]);
    assert.deepEqual(
      [source.volumes[0]?.presence, source.volumes[0]?.access, source.volumes[0]?.epoch],
      ["present", "hold", 1],
    );
  });

  test("mentions a copy that must go as absent until it is forgotten", () => {
    const disk = volume({ filled: true, copies: [{ ...nodeB, epoch: 2, purpose: "remove", since: 5 }] });
    const [copy] = wanted(fleet({ instance: instance({}), volume: disk }), b).volumes;
    assert.deepEqual([copy?.presence, copy?.epoch], ["absent", 2]);
  });

  test("takes a network down where the node still carries it and nothing needs it", () => {
    const carrying = { ...b, status: { ...b.status, networks: [network.metadata.id, "net_unknown"] } };
    const there = wanted(fleet({ instance: instance({}), volume: volume({}) }, [a, carrying]), b);
    assert.deepEqual(
      there.networks.map(({ id: networkId, presence }) => [networkId, presence]),
      [[network.metadata.id, "absent"]],
    );
  });

  test("is the same text for the same wish", () => {
    const view = fleet({ instance: instance({}), volume: volume({}) });
    assert.equal(
      JSON.stringify(wantedStateOf(view, a.metadata.id)),
      JSON.stringify(wantedStateOf(view, a.metadata.id)),
    );
  });
});
