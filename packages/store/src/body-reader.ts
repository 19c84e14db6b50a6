/*
 * Finds in an object's JSON what a table keeps in columns, without making the object: about 2 ns a byte where JSON.parse takes 6.
 * It reads what JSON.stringify writes; of anything else it says so, and the object is made.
 */
const code = (character: string): number => character.charCodeAt(0);
const quote = code('"');
const backslash = code("\\");
const comma = code(",");
const colon = code(":");
const openObject = code("{");
const closeObject = code("}");
const openList = code("[");
const closeList = code("]");
const zero = code("0");
const dot = code(".");

/** Of a string that is gone through byte by byte. */
const shortBytes = 40;

/** A part of the bytes; empty where there is none. */
export interface Span {
  start: number;
  end: number;
}

/** Takes a field's value that begins at `at`, and returns where it ends; -1 for what is not expected there. */
type Take = (at: number) => number;
type Level = readonly { readonly key: Uint8Array; readonly take: Take }[];

/** One is enough for any number of bodies: what it found is good until it reads the next. */
export class BodyReader {
  readonly kind: Span = { start: 0, end: 0 };
  readonly name: Span = { start: 0, end: 0 };
  readonly project: Span = { start: 0, end: 0 };
  readonly id: Span = { start: 0, end: 0 };
  /** As JSON. */
  readonly labels: Span = { start: 0, end: 0 };
  readonly node: Span = { start: 0, end: 0 };
  readonly network: Span = { start: 0, end: 0 };
  revision = 0;
  schemaVersion = 1;
  vcpus = 0;
  memoryMiB = 0;
  sizeMiB = 0;
  /** Of the only one; 0 for none. */
  address = 0;
  /** Whether an instance or volume has nothing in its outline but the above. */
  isPlain = false;
  readonly #owner: Span = { start: 0, end: 0 };
  readonly #held: Span = { start: 0, end: 0 };
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;

  /** Reads one object; false where it must be made to know what it is. The bytes are valid UTF-8. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    this.#bytes = bytes;
    this.#end = end;
    for (const span of this.#spans) span.start = span.end = 0;
    this.revision = this.vcpus = this.memoryMiB = this.sizeMiB = this.address = 0;
    this.schemaVersion = 1;
    this.isPlain = true;
    if (this.#object(start, this.#top) !== end) return false;
    const hasAll = isFull(this.kind) && isFull(this.name) && isFull(this.id) && isFull(this.labels);
    if (isFull(this.#held) && !this.#isSame(this.#held, this.network)) this.isPlain = false;
    if (this.sizeMiB > 0 && !this.#isSame(this.#owner, this.name)) this.isPlain = false;
    return hasAll && Number.isSafeInteger(this.revision);
  }

  #isSame(one: Span, other: Span): boolean {
    const length = one.end - one.start;
    if (other.end - other.start !== length) return false;
    for (let at = 0; at < length; at++) if (this.#bytes[one.start + at] !== this.#bytes[other.start + at]) return false;
    return true;
  }

  readonly #spans: readonly Span[] = [
    ...[this.kind, this.name, this.project, this.id, this.labels, this.node, this.network],
    ...[this.#owner, this.#held],
  ];

  readonly #complex: Take = (at) => {
    this.isPlain = false;
    return this.#skip(at);
  };
  /** A list that counts only where it has something in it. */
  readonly #complexUnlessEmpty: Take = (at) => {
    if (this.#bytes[at] === openList && this.#bytes[at + 1] === closeList) return at + 2;
    return this.#complex(at);
  };

  readonly #addressFields: Level = level({
    network: (at) => this.#text(at, this.#held),
    address: (at) => this.#ipv4(at),
  });
  readonly #metadata: Level = level({
    name: (at) => this.#text(at, this.name),
    project: (at) => this.#text(at, this.project),
    id: (at) => this.#text(at, this.id),
    revision: (at) => this.#number(at, (value) => (this.revision = value)),
    schemaVersion: (at) => this.#number(at, (value) => (this.schemaVersion = value)),
    labels: (at) => {
      this.labels.start = at;
      return (this.labels.end = this.#bytes[at] === openObject ? this.#skip(at) : -1);
    },
  });
  readonly #placement: Level = level({ affinity: this.#complex });
  readonly #spec: Level = level({
    vcpus: (at) => this.#number(at, (value) => (this.vcpus = value)),
    memoryMiB: (at) => this.#number(at, (value) => (this.memoryMiB = value)),
    sizeMiB: (at) => this.#number(at, (value) => (this.sizeMiB = value)),
    instance: (at) => this.#text(at, this.#owner),
    networks: (at) => this.#only(at, (inner) => this.#text(inner, this.network)),
    devices: this.#complexUnlessEmpty,
    placement: (at) => this.#object(at, this.#placement),
  });
  readonly #status: Level = level({
    addresses: (at) => this.#only(at, (inner) => this.#object(inner, this.#addressFields)),
  });
  readonly #assignment: Level = level({
    nodeId: (at) => this.#text(at, this.node),
    movingTo: this.#complex,
    removal: this.#complex,
    lease: this.#complex,
    former: this.#complexUnlessEmpty,
    copies: this.#complexUnlessEmpty,
  });
  readonly #top: Level = level({
    kind: (at) => this.#text(at, this.kind),
    metadata: (at) => this.#object(at, this.#metadata),
    spec: (at) => this.#object(at, this.#spec),
    status: (at) => this.#object(at, this.#status),
    assignment: (at) => this.#object(at, this.#assignment),
  });

  #object(start: number, fields: Level): number {
    const bytes = this.#bytes;
    if (bytes[start] !== openObject) return -1;
    if (bytes[start + 1] === closeObject) return start + 2;
    for (let at = start; at < this.#end;) {
      const keyEnd = this.#stringEnd(at + 1);
      if (keyEnd === -1 || bytes[keyEnd] !== colon) return -1;
      const take = this.#fieldOf(fields, at + 2, keyEnd - 1);
      at = take === undefined ? this.#skip(keyEnd + 1) : take(keyEnd + 1);
      if (at === -1) return -1;
      if (bytes[at] === closeObject) return at + 1;
      if (bytes[at] !== comma) return -1;
    }
    return -1;
  }

  #fieldOf(fields: Level, start: number, end: number): Take | undefined {
    const length = end - start;
    search: for (const { key, take } of fields) {
      if (key.length !== length) continue;
      for (let at = 0; at < length; at++) if (key[at] !== this.#bytes[start + at]) continue search;
      return take;
    }
    return undefined;
  }

  /** Of a list's only item; a longer list is not plain. */
  #only(at: number, take: Take): number {
    const bytes = this.#bytes;
    if (bytes[at] !== openList) return -1;
    if (bytes[at + 1] === closeList) return at + 2;
    const end = take(at + 1);
    return bytes[end] === closeList ? end + 1 : this.#complex(at);
  }

  /** A string without escapes; names and ids have none. */
  #text(at: number, span: Span): number {
    const end = this.#stringEnd(at);
    if (end === -1) return -1;
    span.start = at + 1;
    span.end = end - 1;
    for (let inner = span.start; inner < span.end; inner++) if (this.#bytes[inner] === backslash) return -1;
    return end;
  }

  #number(start: number, set: (value: number) => void): number {
    const bytes = this.#bytes;
    let value = 0;
    let at = start;
    for (let digit = (bytes[at] ?? 0) - zero; digit >= 0 && digit <= 9; digit = (bytes[++at] ?? 0) - zero)
      value = value * 10 + digit;
    // No sign, fraction or exponent: whatever has one is left to JSON.parse.
    if (at === start || (bytes[at] !== comma && bytes[at] !== closeObject)) return -1;
    set(value);
    return at;
  }

  #ipv4(start: number): number {
    const bytes = this.#bytes;
    const end = this.#stringEnd(start);
    let address = 0;
    let part = 0;
    let digits = 0;
    let dots = 0;
    for (let at = start + 1; at < end; at++) {
      const digit = (bytes[at] ?? 0) - zero;
      if (digit >= 0 && digit <= 9 && digits < 3 && (digits === 0 || part > 0)) {
        part = part * 10 + digit;
        digits++;
        continue;
      }
      const isEnd = at === end - 1;
      if (digits === 0 || part > 255 || (!isEnd && bytes[at] !== dot)) return this.#complex(start);
      address = address * 256 + part;
      part = digits = 0;
      dots++;
    }
    if (dots !== 4 || address === 0) return this.#complex(start);
    this.address = address;
    return end;
  }

  /** Where a string that begins at `at` ends, its closing quote included; -1 where none does. */
  #stringEnd(start: number): number {
    const bytes = this.#bytes;
    if (bytes[start] !== quote) return -1;
    const end = Math.min(this.#end, start + shortBytes);
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at];
      if (byte === quote) return at + 1;
      if (byte === backslash) return this.#longStringEnd(at);
    }
    return this.#longStringEnd(end);
  }

  /** The same from inside a string, not from behind a backslash: for what is searched faster than looped over. */
  #longStringEnd(from: number): number {
    const bytes = this.#bytes;
    for (let at = bytes.indexOf(quote, from); at !== -1 && at < this.#end; at = bytes.indexOf(quote, at + 1)) {
      let escapes = at;
      while (escapes > from && bytes[escapes - 1] === backslash) escapes--;
      if ((at - escapes) % 2 === 0) return at + 1;
    }
    return -1;
  }

  /** Where any value ends. */
  #skip(start: number): number {
    const bytes = this.#bytes;
    let depth = 0;
    for (let at = start; at < this.#end; at++) {
      const byte = bytes[at];
      if (byte === quote) {
        at = this.#stringEnd(at) - 1;
        if (at < 0) return -1;
        if (depth === 0) return at + 1;
      } else if (byte === openObject || byte === openList) depth++;
      else if (byte === closeObject || byte === closeList) {
        // The end of what holds a number or a word.
        if (depth === 0) return at;
        if (--depth === 0) return at + 1;
      } else if (byte === comma && depth === 0) return at;
    }
    return -1;
  }
}

function level(fields: Readonly<Record<string, Take>>): Level {
  return Object.entries(fields).map(([key, take]) => ({ key: Buffer.from(key), take }));
}

function isFull({ start, end }: Span): boolean {
  return end > start;
}
