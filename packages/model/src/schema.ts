import { Type, type TObject, type TProperties, type TEnum, type TSchema } from "typebox";

/** An object schema that refuses unknown keys, so that a misspelt field is an error and never silently ignored. */
export function strict<P extends TProperties>(properties: P, description?: string): TObject<P> {
  return Type.Object(properties, {
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  });
}

/** One of a readonly tuple of words; the tuple stays the one list of them. */
export function oneOf<const T extends readonly [string, ...string[]]>(values: T, description?: string): TEnum<[...T]> {
  return Type.Enum<[...T]>([...values], description === undefined ? {} : { description });
}

export const nameWords = "lower-case letters, digits and dashes, starting with a letter, at most 63";
export const namePattern = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$";

/** A resource's name: a DNS label, so that it may become a host name; it never becomes a path or a flag. */
export const Name = Type.String({
  pattern: namePattern,
  description: nameWords,
});

/** A server-made identifier: a short prefix of the kind and 26 characters of time and randomness (ULID). */
export const Id = Type.String({ pattern: "^[a-z]+_[0-9a-hjkmnp-tv-z]{26}$" });

/** A moment, RFC 3339 in UTC. */
export const Timestamp = Type.String({ format: "date-time" });

/** `sha256:` and 64 hexadecimal digits. */
export const Digest = Type.String({
  pattern: "^sha256:[0-9a-f]{64}$",
  description: "sha256: and 64 hexadecimal digits",
});

export const CountryCode = Type.String({
  pattern: "^[A-Z]{2}$",
  description: "two capital letters, such as ES (ISO 3166-1 alpha-2)",
});

export const Labels = Type.Record(
  Type.String({ pattern: "^[a-z0-9]([-a-z0-9./]{0,61}[a-z0-9])?$" }),
  Type.String({
    maxLength: 63,
    pattern: "^[-A-Za-z0-9_.]*$",
    description: "letters, digits, dashes, underscores and dots, at most 63",
  }),
  { maxProperties: 64, additionalProperties: false },
);

/** An optional property, for terser schemas. */
export function optional<T extends TSchema>(schema: T) {
  return Type.Optional(schema);
}

/** Of what holds instances: `false` is a cordon. */
export const Schedulable = optional(
  Type.Boolean({ description: "false, a cordon: instances that are there stay, no new ones come" }),
);

/** An object schema in which nothing is required, down through the objects in it; lists and unions stay whole. */
export function partial(schema: TSchema): TSchema {
  const {
    properties,
    required: _none,
    ...rest
  } = schema as TSchema & {
    readonly properties?: TProperties;
    readonly required?: unknown;
  };
  if (properties === undefined) return schema;
  const inner = Object.entries(properties).map(([name, field]) => [name, partial(field)] as const);
  return { ...rest, properties: Object.fromEntries(inner) };
}
