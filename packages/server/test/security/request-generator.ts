/* Requests as somebody would make them who has the OpenAPI document and bad intentions: well-formed, almost well-formed, and not at all. */

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiRoute>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface OpenApiRoute {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface WildRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

const oddTexts = [
  "",
  " ",
  ".",
  "..",
  "../../etc/passwd",
  "%2e%2e%2f",
  "%00",
  "\u0000",
  "a\r\nb: c",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "-1",
  "1e999",
  "' OR 1=1 --",
  "<script>alert(1)</script>",
  "${7*7}",
  "$(id)",
  "💥",
  "\ud800",
  "A".repeat(300),
  "a".repeat(5000),
  "%",
  "%zz",
  "a:b",
  "thing:start",
  "*",
  "?",
  "#",
];
const plainTexts = [
  "x",
  "web",
  "10.9.0.0/24",
  "2026-11-22T00:00:00Z",
  "ES",
  "qcow2",
  "127.0.0.1",
  "a=b,c!=d",
  "5",
  "100",
  "true",
];
const oddValues: readonly unknown[] = [null, true, 0, -1, 1.5, 1e308, 2 ** 53, "", "x", [], {}, [[]], { a: 1 }];
const methods = ["GET", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS", "TRACE"];

/** @param home the project that is theirs; @param names of things that there are, own and foreign, ids too */
export class RequestGenerator {
  readonly #document: OpenApi;
  readonly #random: () => number;
  readonly #names: readonly string[];
  readonly #routes: readonly { readonly path: string; readonly method: string; readonly route: OpenApiRoute }[];

  readonly #home: string;

  constructor(document: OpenApi, home: string, names: readonly string[], random: () => number) {
    this.#document = document;
    this.#home = home;
    this.#random = random;
    this.#names = names;
    this.#routes = Object.entries(document.paths).flatMap(([path, byMethod]) =>
      Object.entries(byMethod).map(([method, route]) => ({ path, method: method.toUpperCase(), route })),
    );
  }

  next(): WildRequest {
    const { path, method, route } = this.#pick(this.#routes);
    if (this.#chance(0.3)) return this.#meantWell(path, method, route);
    const home = this.#chance(0.6);
    const filled = path.replaceAll(/\{([a-z]+)\}/g, (_, parameter: string) =>
      parameter === "project" && home ? this.#home : this.#segment(),
    );
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    for (const parameter of route.parameters ?? []) {
      if (parameter.in === "path" || !this.#chance(0.1)) continue;
      const value = String(this.#chance(0.7) ? this.#value(parameter.schema, 0) : this.#text());
      if (parameter.in === "query") query.append(parameter.name, value);
      else headers[parameter.name.toLowerCase()] = headerText(value);
    }
    if (this.#chance(0.05))
      query.append(this.#pick(["dryRun", "limit", "cursor", "unknown", "__proto__"]), this.#text());
    const content = Object.entries(route.requestBody?.content ?? {});
    const [contentType, described] = content.length === 0 ? [] : this.#pick(content);
    const body = described === undefined && this.#chance(0.9) ? undefined : this.#body(described?.schema ?? {});
    if (body !== undefined)
      headers["content-type"] = this.#chance(0.9) ? (contentType ?? "application/json") : headerText(this.#odd());
    const asked = query.toString();
    return {
      method: this.#chance(0.95) ? method : this.#pick(methods),
      path: filled + (asked === "" ? "" : `?${asked}`),
      headers,
      body,
    };
  }

  /** What their own programs would ask for: most of what is ever changed comes of these. */
  #meantWell(path: string, method: string, { requestBody }: OpenApiRoute): WildRequest {
    const names = this.#names.filter((name) => /^[a-z][a-z0-9-]*$/.test(name));
    const filled = path.replaceAll(/\{([a-z]+)\}/g, (_, parameter: string) =>
      parameter === "project" ? this.#home : this.#pick(names),
    );
    const [described] = Object.entries(requestBody?.content ?? {});
    if (described === undefined) return { method, path: filled, headers: {}, body: undefined };
    const [contentType, { schema }] = described;
    return {
      method,
      path: filled,
      headers: { "content-type": contentType },
      body: JSON.stringify(this.#value(schema, 0)),
    };
  }

  #body(schema: Schema): string {
    const draw = this.#random();
    if (draw < 0.6) return JSON.stringify(this.#value(schema, 0)) ?? "";
    if (draw < 0.8) return JSON.stringify(this.#spoilt(this.#value(schema, 0))) ?? "";
    if (draw < 0.85) return "[".repeat(2000);
    if (draw < 0.9) return JSON.stringify(this.#value(schema, 0)).slice(0, -1);
    if (draw < 0.92) return '{"__proto__":{"spec":{}},"spec":{"constructor":{"prototype":{"admin":true}}}}';
    if (draw < 0.94) return `{"spec":{},"spec":{"a":${"9".repeat(400)}}}`;
    return this.#odd();
  }

  #value(schema: Schema, depth: number): unknown {
    if (schema.$ref !== undefined)
      return this.#value(this.#document.components.schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {}, depth);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices !== undefined) return this.#value(this.#pick(choices), depth);
    if (schema.enum !== undefined) return this.#pick(schema.enum);
    if (depth > 6) return null;
    switch (schema.type) {
      case "object": {
        const entries = Object.entries(schema.properties ?? {}).filter(
          ([name]) => schema.required?.includes(name) === true || this.#chance(0.15),
        );
        return Object.fromEntries(entries.map(([name, inner]) => [name, this.#value(inner, depth + 1)]));
      }
      case "array":
        return Array.from({ length: Math.floor(this.#random() * 3) }, () => this.#value(schema.items ?? {}, depth + 1));
      case "integer":
      case "number": {
        const { minimum = 0, maximum = 10_000 } = schema;
        return this.#chance(0.8)
          ? Math.floor(minimum + this.#random() * Math.min(maximum - minimum, 1000))
          : this.#pick([-1, 2 ** 53, 1e308]);
      }
      case "boolean":
        return this.#chance(0.5);
      case "string": {
        const fitting = [...this.#names, ...plainTexts].filter((text) =>
          new RegExp(schema.pattern ?? "", "u").test(text),
        );
        return fitting.length > 0 && this.#chance(0.85) ? this.#pick(fitting) : this.#text();
      }
      default:
        return this.#pick(oddValues);
    }
  }

  /** With one thing in it changed for something odd. */
  #spoilt(value: unknown): unknown {
    if (typeof value !== "object" || value === null || this.#chance(0.15)) return this.#pick(oddValues);
    const keys = Object.keys(value);
    if (keys.length === 0 || this.#chance(0.1)) return { ...value, [this.#text()]: this.#pick(oddValues) };
    const key = this.#pick(keys);
    return { ...value, [key]: this.#spoilt(Reflect.get(value, key)) };
  }

  #segment(): string {
    const text = this.#chance(0.85) ? this.#pick(this.#names) : this.#text();
    try {
      return this.#chance(0.95) ? encodeURIComponent(text) : text.replaceAll(/[^!-~]/g, "%") || "x";
    } catch {
      return "%ED%A0%80";
    }
  }

  #text(): string {
    return this.#chance(0.5) ? this.#pick([...this.#names, ...plainTexts]) : this.#odd();
  }

  #odd(): string {
    return this.#pick(oddTexts);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}

/** What a client's library would let through. */
function headerText(text: string): string {
  return text.replaceAll(/[^\t -~]/g, "?").slice(0, 2000);
}
