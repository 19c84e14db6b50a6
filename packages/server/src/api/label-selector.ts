import { SkerryError } from "@skerry/model";
import type { Label } from "@skerry/store";

export interface LabelSelector {
  readonly selects: (labels: Readonly<Record<string, string>>) => boolean;
  /** What every object that is selected has, by which the store finds it. */
  readonly required: readonly Label[];
  /** Whether to have one required label is all that is asked. */
  readonly isOneLabel: boolean;
}

const maxTerms = 16;
const term = /^(?<key>[a-z0-9](?:[-a-z0-9./]{0,61}[a-z0-9])?)(?<operator>!?=)(?<value>[-A-Za-z0-9_.]{0,63})$/;

/**
 * Reads `a=b,c!=d`: every term must hold; `!=` also holds where the label is missing.
 * @throws SkerryError invalid-request
 */
export function parseLabelSelector(text: string): LabelSelector {
  const words = text.split(",");
  if (words.length > maxTerms) {
    throw new SkerryError(
      "invalid-request",
      `The label selector has ${words.length} terms; at most ${maxTerms} are taken.`,
    );
  }
  const terms = words.map((word) => {
    const { key, operator, value } = term.exec(word.trim())?.groups ?? {};
    if (key === undefined || value === undefined) {
      throw new SkerryError("invalid-request", `"${word.slice(0, 100)}" is not a term of a label selector.`, {
        remedy: "Write terms as key=value or key!=value, with commas between them.",
      });
    }
    return { key, value, equal: operator === "=" };
  });
  const required = terms.filter(({ equal }) => equal).map(({ key, value }): Label => [key, value]);
  return {
    selects: (labels) =>
      terms.every(({ key, value, equal }) => (Object.hasOwn(labels, key) && labels[key] === value) === equal),
    required,
    isOneLabel: terms.length === 1 && required.length === 1,
  };
}
