import { hashOf } from "./hash-index.ts";

const places = 65_536;

/** Strings for bytes, of which many are the same: those that were made of late are given again, so that a million make no garbage. */
export class SharedTexts {
  readonly #texts = Array<string>(places).fill("");

  text(bytes: Buffer, start: number, end: number): string {
    if (end <= start) return "";
    const place = hashOf(bytes, start, end) & (places - 1);
    const known = this.#texts[place] ?? "";
    if (isText(bytes, start, end, known)) return known;
    return (this.#texts[place] = bytes.toString("utf8", start, end));
  }
}

/** Whether the bytes are the text; false too where it is not ASCII. */
export function isText(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let at = 0; at < text.length; at++) {
    const byte = bytes[start + at] ?? 0;
    if (byte !== text.charCodeAt(at) || byte > 127) return false;
  }
  return true;
}
