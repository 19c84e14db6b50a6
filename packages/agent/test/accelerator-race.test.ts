import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { raceAccelerators, type Boot } from "../src/drivers/compute/libvirt/accelerator-race.ts";

type End = "hangs" | { readonly afterMs: number; readonly failure?: string };

/** Boots that end as told; `aborted` collects those that were ended. */
function boots(ends: Readonly<Record<"kvm" | "tcg", End>>, aborted: string[] = []): Boot {
  return async (accelerator, signal) => {
    const end = ends[accelerator];
    signal.addEventListener("abort", () => aborted.push(accelerator));
    if (end === "hangs") {
      if (!signal.aborted) await once(signal, "abort");
      throw signal.reason;
    }
    await delay(end.afterMs, undefined, { signal });
    return end.failure;
  };
}
const never = new AbortController().signal;

describe("the race of KVM against emulation", () => {
  test("is won by KVM as soon as its guest answers, also after the emulated one", async () => {
    assert.deepEqual(await raceAccelerators(boots({ kvm: { afterMs: 5 }, tcg: "hangs" }), never), {
      accelerator: "kvm",
    });
    assert.deepEqual(await raceAccelerators(boots({ kvm: { afterMs: 300 }, tcg: { afterMs: 5 } }), never), {
      accelerator: "kvm",
    });
  });

  test("is lost by a KVM whose guest hangs, soon after the emulated one has answered, and both are ended", async () => {
    const aborted: string[] = [];
    const fromMs = performance.now();
    const found = await raceAccelerators(boots({ kvm: "hangs", tcg: { afterMs: 20 } }, aborted), never);
    assert.equal(found.accelerator, "tcg");
    assert.match(found.reason ?? "", /kvm hangs in its firmware/);
    assert.ok(performance.now() - fromMs < 3000);
    assert.deepEqual(aborted.toSorted(), ["kvm", "tcg"]);
  });

  test("is lost by a KVM that fails, with its reason, once the emulated guest has answered", async () => {
    const boot = boots({ kvm: { afterMs: 1, failure: "no permission" }, tcg: { afterMs: 50 } });
    assert.deepEqual(await raceAccelerators(boot, never), { accelerator: "tcg", reason: "no permission" });
  });

  test("waits for KVM where the emulated guest fails, and fails where both do", async () => {
    const failing = { afterMs: 1, failure: "no such program" };
    assert.deepEqual(await raceAccelerators(boots({ kvm: { afterMs: 1500 }, tcg: failing }), never), {
      accelerator: "kvm",
    });
    await assert.rejects(raceAccelerators(boots({ kvm: failing, tcg: failing }), never), /no such program/);
  });

  test("ends with its caller", async () => {
    const stop = new AbortController();
    const race = raceAccelerators(boots({ kvm: "hangs", tcg: "hangs" }), stop.signal);
    stop.abort(new Error("the agent ends"));
    await assert.rejects(race, /the agent ends/);
  });
});
