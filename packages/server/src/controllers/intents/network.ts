import type { NetworkResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { KindIntents } from "../../intents.ts";
import { timestamp } from "../../operations/clock.ts";
import { holdersOf } from "../addressing/address-book.ts";
import { checkedCidr, cidrsOverlap } from "../addressing/network-address.ts";
import { projectOf } from "../references.ts";
import { conflict, inUse, refuseChanges } from "../refusal.ts";
import { reapNetwork } from "../reap.ts";
import { store } from "./zone-kind.ts";

const largestVni = 16_777_215;
/** Leaves the numbers that operators like to use by hand. */
const firstVni = 4096;

export const networkIntents: KindIntents<"Network"> = {
  initialStatus: { conditions: [] },
  create(tx, draft) {
    checkRange(tx, draft);
    return store(tx, { ...draft, status: { ...draft.status, vni: freeVni(tx) } });
  },
  update(tx, before, after) {
    if (holdersOf(tx, before).length > 0)
      refuseChanges(before.spec, after.spec, ["cidr"], "instances have addresses of it");
    if (before.spec.cidr !== after.spec.cidr) checkRange(tx, after);
    return store(tx, after);
  },
  remove(tx, network, context) {
    const holders = holdersOf(tx, network);
    if (holders.length > 0) {
      throw inUse(
        `The network ${network.metadata.name}`,
        holders.map(({ metadata }) => `instance ${metadata.name}`),
        `Delete these instances first: skerry instance delete NAME --project ${network.metadata.project ?? ""}`,
      );
    }
    const deletedAt = network.metadata.deletedAt ?? timestamp(context.nowMs);
    const marked = tx.put({ ...network, metadata: { ...network.metadata, deletedAt } });
    reapNetwork(tx, marked);
    return { resource: marked };
  },
  actions: {},
};

function checkRange(tx: Transaction, network: NetworkResource): void {
  const project = projectOf(tx, network.metadata);
  checkedCidr(network.spec.cidr);
  const clash = tx
    .list("Network", project)
    .find((other) => other.metadata.id !== network.metadata.id && cidrsOverlap(other.spec.cidr, network.spec.cidr));
  if (clash === undefined) return;
  throw conflict(
    `${network.spec.cidr} overlaps ${clash.spec.cidr} of the network ${clash.metadata.name} in the same project.`,
    "Choose another range; networks of different projects may overlap.",
  );
}

/** One above the highest in use, so that a number is not used again soon; the lowest free one at the end of the range. */
function freeVni(tx: Transaction): number {
  const used = new Set(tx.list("Network").map((network) => network.status.vni ?? 0));
  let highest = firstVni - 1;
  for (const vni of used) highest = Math.max(highest, vni);
  if (highest < largestVni) return highest + 1;
  for (let vni = firstVni; vni < largestVni; vni++) if (!used.has(vni)) return vni;
  throw conflict("All network numbers are in use.", "Delete networks that nobody needs.");
}
