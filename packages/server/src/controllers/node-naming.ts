import { byName, hiding, type Candidate, type Naming } from "@skerry/placement";
import type { Rights } from "../authorisation/rights.ts";

/** Whether whoever asks may know of a node; all of them where nobody asks. */
export function mayKnow(rights: Rights | undefined): (node: Pick<Candidate, "provider">) => boolean {
  if (rights === undefined) return () => true;
  const known = new Map<string, boolean>();
  return ({ provider }) => {
    const answer = known.get(provider) ?? rights.allow("read", "Node", { provider });
    known.set(provider, answer);
    return answer;
  };
}

/** What nodes are called towards whoever asks: by name those that it may read, by their sites all others. */
export function namingFor(rights: Rights | undefined): Naming {
  if (rights === undefined) return byName;
  const knows = mayKnow(rights);
  return hiding((node) => !knows(node));
}
