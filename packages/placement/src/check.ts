import type { Candidate } from "./candidate.ts";
import type { NearestMiss, Refusal, RefusalReason } from "./refusal.ts";
import { count } from "./wording.ts";

/** One thing that was asked: which nodes fail it, and what to say of them. */
export interface Check {
  readonly reason: RefusalReason;
  fails(node: Candidate): boolean;
  /** @param failing at least one node that fails this @param only those of them that fail nothing else */
  explain(failing: readonly Candidate[], only: readonly Candidate[], total: number): Refusal;
}

/** What differs between checks once it is known who fails: the verdict on nodes (`is not in ES`), and the nearest miss. */
interface Words {
  readonly reason: RefusalReason;
  readonly asked: string;
  /** What is true of one failing node, then of several. */
  readonly verdict: readonly [string, string];
  /** What the best of those that fail has, where that can be said. */
  readonly best?: string;
  /** What to ask instead in the sentence, as in `FR would open 1 node`. */
  readonly nearest?: NearestMiss & { readonly words: string };
}

function refusal(
  { reason, asked, verdict, best, nearest }: Words,
  failing: readonly Candidate[],
  total: number,
): Refusal {
  const label = reason.startsWith("capacity") ? "capacity" : reason;
  let sentence = `${label}: ${failing.length} of ${count(total, "node")} ${failing.length === 1 ? verdict[0] : verdict[1]}`;
  if (best !== undefined) sentence += `, best ${best}`;
  if (nearest === undefined) return { reason, asked, nodes: failing.length, sentence };
  sentence += `: ${nearest.words} would open ${count(nearest.opens, "node")}`;
  const { value, opens, advice } = nearest;
  return { reason, asked, nodes: failing.length, nearest: { value, opens, advice }, sentence };
}

/**
 * A property that must be one of some words; `relation` stands before them, as in `is not [in ]ES or FR`.
 * @param print what is said of a node that has another; the word where absent
 */
export function wordCheck(
  reason: RefusalReason,
  relation: string,
  allowed: readonly string[],
  wordOf: (node: Candidate) => string,
  print: (node: Candidate) => string = wordOf,
): Check {
  const words = new Set(allowed);
  const verdict = `not ${relation}${allowed.join(" or ")}`;
  return {
    reason,
    fails: (node) => !words.has(wordOf(node)),
    explain(failing, only, total) {
      const most = mostFrequent(only.map(print));
      const nearest = most && {
        ...most,
        words: most.value,
        advice: `allow ${wordOf === print ? `${reason} ` : ""}${most.value}`,
      };
      return refusal(
        {
          reason,
          asked: allowed.join(", "),
          verdict: [`is ${verdict}`, `are ${verdict}`],
          ...(nearest && { nearest }),
        },
        failing,
        total,
      );
    },
  };
}

/** How a number that must not be below (or above) what is asked is put into words. */
export interface NumberWords {
  readonly asked: string;
  readonly verdict: readonly [string, string];
  print(value: number): string;
  advise(printed: string): string;
}

/** A property that must be at least, or at most, what is asked. */
export function numberCheck(
  reason: RefusalReason,
  bound: { readonly atLeast: number } | { readonly atMost: number },
  numberOf: (node: Candidate) => number,
  words: NumberWords,
): Check {
  const better = "atLeast" in bound ? Math.max : Math.min;
  const fails = "atLeast" in bound ? (value: number) => value < bound.atLeast : (value: number) => value > bound.atMost;
  return {
    reason,
    fails: (node) => fails(numberOf(node)),
    explain(failing, only, total) {
      const best = failing.map(numberOf).reduce((a, b) => better(a, b));
      const values = only.map(numberOf);
      const value = values.length === 0 ? undefined : values.reduce((a, b) => better(a, b));
      const opens = values.filter((other) => other === value).length;
      const printed = words.print(value ?? 0);
      return refusal(
        {
          reason,
          asked: words.asked,
          verdict: words.verdict,
          best: words.print(best),
          // Asking for nothing, of a full node, would be no way out.
          ...(value !== undefined && (value > 0 || reason === "sovereignty")
            ? { nearest: { value, opens, words: printed, advice: words.advise(printed) } }
            : {}),
        },
        failing,
        total,
      );
    },
  };
}

/** A state of the node that the request cannot change; `way` says what would, where somebody can. */
export function stateCheck(
  reason: RefusalReason,
  asked: string,
  verdict: readonly [string, string],
  fails: (node: Candidate) => boolean,
  way?: { readonly words: string; readonly nameOf: (node: Candidate) => string; advise(names: string): string },
): Check {
  return {
    reason,
    fails,
    explain(failing, only, total) {
      if (way === undefined || only.length === 0) return refusal({ reason, asked, verdict }, failing, total);
      const names = [...new Set(only.map(way.nameOf))].sort();
      const value = names.length > 3 ? `${names.slice(0, 3).join(", ")} or others` : names.join(" or ");
      const nearest = { value, opens: only.length, words: way.words, advice: way.advise(value) };
      return refusal({ reason, asked, verdict, nearest }, failing, total);
    },
  };
}

/** How things of which a node may lack some are put into words. */
export interface ItemWords {
  readonly asked: string;
  readonly verdict: readonly [string, string];
  /** What is said of the one thing without which most nodes would fit, and what to do about it. */
  readonly words: (item: string) => string;
  readonly advise: (item: string) => string;
}

/** Things that must all hold; the nearest miss is the one thing that alone keeps most nodes out. */
export function itemsCheck(
  reason: RefusalReason,
  missing: (node: Candidate) => readonly string[],
  { asked, verdict, words, advise }: ItemWords,
): Check {
  return {
    reason,
    fails: (node) => missing(node).length > 0,
    explain(failing, only, total) {
      const lone = only.map(missing).filter((items) => items.length === 1);
      const most = mostFrequent(lone.flat());
      const nearest = most && { ...most, words: words(most.value), advice: advise(most.value) };
      return refusal({ reason, asked, verdict, ...(nearest && { nearest }) }, failing, total);
    },
  };
}

/** The word that occurs most, the first by alphabet where several do. */
function mostFrequent(words: readonly string[]): { value: string; opens: number } | undefined {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const [first] = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return first && { value: first[0], opens: first[1] };
}
