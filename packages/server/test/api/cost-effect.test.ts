import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import "@skerry/testkit/seed";
import { instanceSpec } from "../controllers/zone-fixture.ts";
import { revisionOf } from "../undo/undo-cases.ts";
import { startUndoZone, type UndoZone } from "../undo/undo-zone.ts";
import type { Answer } from "./api-harness.ts";

const shop = "/projects/shop";
const web = `${shop}/instances/web`;
/** In Madrid alone; one vCPU, 96 MiB, a disk of 64 MiB and one address. */
const settled = { ...instanceSpec, placement: { sites: ["madrid"] } };
const month = new Date().toISOString().slice(0, 7);
const [year = 0, number = 1] = month.split("-").map(Number);
const hours = (Date.UTC(year, number, 1) - Date.UTC(year, number - 1, 1)) / 3_600_000;
const prices = {
  from: "2020-01",
  currency: "EUR",
  vcpuHour: "0.1",
  memoryGiBHour: "0.2",
  storageGiBMonth: "0.3",
  addressHour: "0.004",
};

/** In millionths, by rationals of its own; each item is rounded half up. */
function expected(vcpus: number, memoryMiB: number, storageMiB: number, addresses: number, list = prices): string {
  const price = (text: string): bigint => {
    const [whole = "0", fraction = ""] = text.split(".");
    return BigInt(whole + fraction.padEnd(9, "0"));
  };
  const item = (numerator: bigint, denominator: bigint): bigint =>
    (2n * numerator * 1_000_000n + denominator * 1_000_000_000n) / (2n * denominator * 1_000_000_000n);
  const ours = BigInt(hours);
  const sum =
    item(BigInt(vcpus) * ours * price(list.vcpuHour), 1n) +
    item(BigInt(memoryMiB) * ours * price(list.memoryGiBHour), 1024n) +
    item(BigInt(storageMiB) * price(list.storageGiBMonth), 1024n) +
    item(BigInt(addresses) * ours * price(list.addressHour), 1n);
  const text = String(sum).padStart(7, "0");
  return `${text.slice(0, -6)}.${text.slice(-6)}`;
}

describe("the cost of a plan", () => {
  let zone: UndoZone;
  const priced = (site: string, list: object | undefined): Promise<Answer> =>
    zone.change("PATCH", `/sites/${site}`, { spec: { prices: list === undefined ? null : [list] } });
  const rehearse = (path: string, method: "PUT" | "PATCH" | "DELETE" | "POST", body?: object): Promise<Answer> =>
    zone.ask(method, `${path}?dryRun=true`, body);
  const lines = (answer: Answer): readonly object[] => {
    assert.equal(answer.status, 200, answer.text);
    return answer.at("cost") as readonly object[];
  };

  before(async () => {
    zone = await startUndoZone();
    await priced("madrid", prices);
  });
  after(() => zone[Symbol.asyncDispose]());

  const at = (total: string) => ({ site: "madrid", place: "settled", cost: { currency: "EUR", total } });
  const one = { kind: "Instance", name: "web", project: "shop", month };

  test("of what is made, grown, moved and deleted is what a usage report of the whole month would tell", async () => {
    const whole = expected(1, 96, 64, 1);
    assert.deepEqual(lines(await rehearse(web, "PUT", { spec: settled })), [
      { ...one, after: at(whole), difference: { currency: "EUR", total: whole } },
    ]);
    await zone.change("PUT", web, { spec: { ...settled, power: "stopped" } });
    const grown = expected(3, 96, 1000, 1);
    const by = (less: string, more: string): string => (Number(more) - Number(less)).toFixed(6);
    assert.deepEqual(lines(await rehearse(web, "PATCH", { spec: { vcpus: 3, diskMiB: 1000 } })), [
      { ...one, before: at(whole), after: at(grown), difference: { currency: "EUR", total: by(whole, grown) } },
    ]);
    // Its node has not let go of it yet: what is asked for is that it goes.
    const gone = [{ ...one, before: at(whole), difference: { currency: "EUR", total: `-${whole}` } }];
    assert.deepEqual(lines(await rehearse(web, "DELETE")), gone);
    const planned = await zone.ask("POST", "/plan", {
      fieldManager: "files",
      resources: [],
      deletions: [{ kind: "Instance", metadata: { project: "shop", name: "web" } }],
    });
    assert.deepEqual(lines(planned), gone);
    assert.deepEqual(lines(await rehearse(web, "PATCH", { metadata: { labels: { a: "1" } } })), []);
    assert.deepEqual(lines(await rehearse(`${shop}/networks/lan`, "PATCH", { metadata: { labels: { a: "1" } } })), []);
    assert.deepEqual(lines(await rehearse(`${web}:start`, "POST", {})), []);

    await priced("paris", { ...prices, vcpuHour: "0.2" });
    await zone.change("PATCH", web, { spec: { placement: null } });
    const there = expected(1, 96, 64, 1, { ...prices, vcpuHour: "0.2" });
    assert.deepEqual(lines(await rehearse(`${web}:migrate`, "POST", { toSite: "paris" })), [
      {
        ...one,
        before: at(whole),
        after: { ...at(there), site: "paris" },
        difference: { currency: "EUR", total: by(whole, there) },
      },
    ]);
    const resized = revisionOf(await zone.change("PATCH", web, { spec: { vcpus: 2 } }));
    const undone = await zone.undo({ revision: resized }, "?dryRun=true");
    assert.deepEqual(lines(undone), [
      {
        ...one,
        before: at(expected(2, 96, 64, 1)),
        after: at(whole),
        difference: { currency: "EUR", total: by(expected(2, 96, 64, 1), whole) },
      },
    ]);
    await zone.change("DELETE", web);
  });

  test("is unknown, and not nothing, without a price list; and says what a list has no price for", async () => {
    await priced("athens", undefined);
    const answer = await rehearse(web, "PUT", { spec: { ...instanceSpec, placement: { sites: ["athens"] } } });
    assert.deepEqual(lines(answer), [{ ...one, after: { site: "athens", place: "settled" } }]);
    await priced("athens", { from: "2020-01", currency: "EUR", vcpuHour: "1", addressHour: "0" });
    const partly = await rehearse(web, "PUT", { spec: { ...instanceSpec, placement: { sites: ["athens"] } } });
    const total = `${hours}.000000`;
    const { cost, unpriced } = partly.at("cost.0.after") as { cost: object; unpriced: object };
    assert.deepEqual([cost, unpriced], [{ currency: "EUR", total }, ["memory", "storage"]]);
    // A list of later months is none of this one's.
    await priced("athens", { ...prices, from: "2999-01" });
    const later = await rehearse(web, "PUT", { spec: { ...instanceSpec, placement: { sites: ["athens"] } } });
    assert.equal(later.at("cost.0.after.cost"), undefined);
    assert.equal(later.at("cost.0.difference"), undefined);
  });

  test("of what placement has yet to place is told with the range over all sites that its placement allows", async () => {
    await priced("paris", { ...prices, vcpuHour: "0.05" });
    await priced("athens", undefined);
    const rangeOf = async (placement: object): Promise<unknown> => {
      const answer = await rehearse(web, "PUT", { spec: { ...instanceSpec, placement } });
      assert.equal(answer.at("cost.0.after.place"), "foreseen", answer.text);
      return answer.at("cost.0.after.range");
    };
    const least = expected(1, 96, 64, 1, { ...prices, vcpuHour: "0.05" });
    const most = expected(1, 96, 64, 1);
    assert.deepEqual(await rangeOf({}), { sites: 3, unknown: 1, costs: [{ currency: "EUR", least, most }] });
    assert.deepEqual(await rangeOf({ countries: ["ES", "FR"] }), {
      ...{ sites: 2, unknown: 0 },
      costs: [{ currency: "EUR", least, most }],
    });
    // Whatever is free there: it may be, when it is done. And another currency is no more and no less.
    await zone.change("PATCH", "/nodes/par-1", { spec: { schedulable: false } });
    await priced("paris", { ...prices, currency: "CHF" });
    assert.deepEqual(await rangeOf({ countries: ["ES", "FR"] }), {
      ...{ sites: 2, unknown: 0 },
      costs: [
        { currency: "CHF", least: most, most },
        { currency: "EUR", least: most, most },
      ],
    });
    await zone.change("PATCH", "/nodes/par-1", { spec: { schedulable: null } });
  });

  test("between currencies has no difference", async () => {
    await priced("paris", { ...prices, currency: "CHF" });
    await zone.change("PUT", web, { spec: settled });
    await zone.change("PATCH", web, { spec: { placement: null } });
    const answer = await rehearse(`${web}:migrate`, "POST", { toSite: "paris" });
    const { before: was, after: is, difference } = lines(answer)[0] as Record<string, { cost?: { currency: string } }>;
    assert.deepEqual(new Set([was?.cost?.currency, is?.cost?.currency]), new Set(["EUR", "CHF"]));
    assert.equal(difference, undefined);
    // Nor has a move to where nobody knows the price.
    await priced("athens", undefined);
    const unknown = await rehearse(`${web}:migrate`, "POST", { toSite: "athens" });
    assert.deepEqual(lines(unknown), [
      { ...one, before: at(expected(1, 96, 64, 1)), after: { site: "athens", place: "settled" } },
    ]);
    await zone.change("DELETE", web);
  });

  test("is told to nobody who may not see the thing", async () => {
    const policies = `permit (principal, action, resource);
forbid (principal, action == Skerry::Action::"read", resource is Skerry::Instance);`;
    await zone.change("PUT", "/roles/blind", { spec: { policies } });
    const blind = await zone.api.token("blind", "blind", "shop");
    const answer = await zone.api.ask(blind, "PUT", `/api/v1${web}?dryRun=true`, { spec: settled });
    assert.deepEqual(lines(answer), []);
  });

  test("is exact for any size and price", async () => {
    const decimal = fc
      .tuple(fc.integer({ min: 0, max: 999 }), fc.integer({ min: 0, max: 999_999_999 }))
      .map(([whole, fraction]) => `${whole}.${String(fraction).padStart(9, "0")}`);
    const list = fc.record({
      vcpuHour: decimal,
      memoryGiBHour: decimal,
      storageGiBMonth: decimal,
      addressHour: decimal,
    });
    const size = fc.record({
      vcpus: fc.integer({ min: 1, max: 8 }),
      memoryMiB: fc.integer({ min: 32, max: 4096 }),
      diskMiB: fc.integer({ min: 64, max: 90_000 }),
    });
    await fc.assert(
      fc.asyncProperty(list, size, async (own, asked) => {
        const drawn = { ...prices, ...own };
        await priced("madrid", drawn);
        const answer = await rehearse(web, "PUT", { spec: { ...settled, ...asked } });
        const total = expected(asked.vcpus, asked.memoryMiB, asked.diskMiB, 1, drawn);
        assert.equal(answer.at("cost.0.after.cost.total"), total, answer.text);
      }),
      { numRuns: 30 },
    );
  });
});
