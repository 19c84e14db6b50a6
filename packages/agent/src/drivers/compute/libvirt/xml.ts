/** A finished piece of XML; only `element` makes one, so that no text gets into a document unescaped. */
export class XmlElement {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * An element with its attributes and either text or further elements.
 * @param name from the program's source, never from data
 * @throws RangeError for text with characters that XML can't hold
 */
export function element(
  name: string,
  attributes: Readonly<Record<string, string>>,
  content: string | readonly XmlElement[] = [],
): XmlElement {
  const head = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(value)}"`);
  const inside = typeof content === "string" ? escaped(content) : content.map((child) => child.text).join("");
  return new XmlElement(inside === "" ? `<${name}${head.join("")}/>` : `<${name}${head.join("")}>${inside}</${name}>`);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function escaped(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what XML 1.0 leaves out
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text) || !text.isWellFormed()) {
    throw new RangeError("text with characters that XML can't hold");
  }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
