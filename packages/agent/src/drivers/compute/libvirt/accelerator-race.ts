import { setTimeout as delay } from "node:timers/promises";
import { SkerryError } from "@skerry/model";

export interface Accelerator {
  readonly accelerator: "kvm" | "tcg";
  /** Why not kvm, in a sentence, where it is not. */
  readonly reason?: string;
}

/** Boots a small guest and gives why it did not answer; undefined where it did. Ends the guest when aborted. */
export type Boot = (accelerator: Accelerator["accelerator"], signal: AbortSignal) => Promise<string | undefined>;

/** What KVM gets beyond an emulated guest's own time: the same again, and this at the least. */
const patienceMs = 1000;

/**
 * Boots the same guest with KVM and emulated, side by side. KVM counts where its guest answers, whichever is first. Hardware
 * is never half as fast as its emulation on the same busy host, so that a KVM whose guest hangs is told by then
 * and need not be waited for to the end of its time.
 * @throws SkerryError node-driver-failed where neither guest answers
 */
export async function raceAccelerators(boot: Boot, signal: AbortSignal): Promise<Accelerator> {
  const over = new AbortController();
  const each = AbortSignal.any([signal, over.signal]);
  const fromMs = performance.now();
  const kvm = boot("kvm", each);
  const tcg = boot("tcg", each);
  const overtaken = tcg.then(async (failure) => {
    // Without an emulated guest to compare with, KVM has all its time.
    if (failure !== undefined) return kvm;
    const tcgMs = Math.round(performance.now() - fromMs);
    await delay(Math.max(patienceMs, tcgMs), undefined, { signal: each });
    return `A guest started with kvm hangs in its firmware, which an emulated one got through in ${tcgMs} ms.`;
  });
  overtaken.catch(() => undefined); // It loses the race, and then ends with it.
  try {
    const reason = await Promise.race([kvm, overtaken]);
    if (reason === undefined) return { accelerator: "kvm" };
    const failure = await tcg;
    if (failure === undefined) return { accelerator: "tcg", reason };
    throw new SkerryError("node-driver-failed", `QEMU runs no guest on this node: ${failure}`, {
      remedy: "Install qemu-system-x86 on the node, and see that qemu-system-x86_64 starts.",
    });
  } finally {
    over.abort(new Error("the other guest has answered"));
    await Promise.allSettled([kvm, tcg]);
  }
}
