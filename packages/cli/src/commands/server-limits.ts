import { InvalidArgumentError } from "commander";

const rates = ["principal", "project", "address"] as const;
const counts = ["streams", "uploads"] as const;

interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** As the server takes them. */
export type Limits = { readonly [K in (typeof rates)[number]]?: Rate } & {
  readonly [K in (typeof counts)[number]]?: number;
};

/** `principal=5000:10000`: so many a second, and at once; without the second number five seconds of it. @throws InvalidArgumentError */
export function toLimits(text: string, others: Limits = {}): Limits {
  const [, word = "", first = "", second] = /^([a-z]+)=([0-9]{1,9})(?::([0-9]{1,9}))?$/.exec(text) ?? [];
  const rate = rates.find((one) => one === word);
  const count = counts.find((one) => one === word);
  const perSecond = Number(first);
  const burst = second === undefined ? 5 * perSecond : Number(second);
  if (perSecond > 0 && burst > 0) {
    if (rate !== undefined) return { ...others, [rate]: { perSecond, burst } };
    if (count !== undefined && second === undefined) return { ...others, [count]: perSecond };
  }
  throw new InvalidArgumentError(
    `write ${rates.join(", ")} as NAME=PER_SECOND or NAME=PER_SECOND:AT_ONCE, and ${counts.join(", ")} as NAME=COUNT`,
  );
}
