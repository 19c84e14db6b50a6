import {
  CostEffect,
  MetadataInput,
  MoveForecast,
  Problem,
  QuotaEffect,
  errorCatalogue,
  errorCodes,
  isRecord,
  kindNames,
  kinds,
  oneOf,
  optional,
  strict,
} from "@skerry/model";
import { Type } from "typebox";
import { requestHeaders, schemaRef, type ReplyDescription, type Route } from "./route.ts";
import { undoSchema } from "./undo-route.ts";
import { applyResults } from "./writes.ts";

/** The OpenAPI 3.1 document of a table of routes; schemas are the model's own. */
export function openApiDocument(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const methods = (paths[route.path] ??= {});
    methods[route.method.toLowerCase()] = operationOf(route);
  }
  const document = {
    openapi: "3.1.0",
    info: {
      title: "Skerry",
      version,
      description:
        "One control plane over many providers' clouds and edge sites. Errors are RFC 9457 problems with a stable code.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      schemas: componentSchemas(),
      responses: {
        Problem: {
          description: "A problem.",
          content: { "application/problem+json": { schema: schemaRef("Problem") } },
        },
      },
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "skt1.<id>.<secret>" } },
    },
  };
  // Drops what the schema library keeps beside the JSON schema.
  return JSON.parse(JSON.stringify(document)) as object;
}

function operationOf(route: Route): object {
  const names = [...route.path.matchAll(/\{([a-z]+)\}/g)].map((match) => match[1] ?? "");
  const query = Object.entries(route.query?.properties ?? {});
  const parameters = [
    ...names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    ...query.map(([name, schema]) => ({
      name,
      in: "query",
      schema,
      ...("description" in schema ? { description: schema.description } : {}),
    })),
    ...(route.requestHeaders ?? []).map((name) => ({
      name,
      in: "header",
      description: requestHeaders[name],
      schema: { type: "string" },
    })),
  ];
  const { body } = route;
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    ...(route.access === "public" ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: { required: body.optional !== true, content: contentOf(body) },
        }),
    responses: {
      ...Object.fromEntries(Object.entries(route.replies).map(([status, reply]) => [status, responseOf(reply)])),
      default: { $ref: "#/components/responses/Problem" },
    },
  };
}

function contentOf({ contentType, schema, others = {} }: NonNullable<Route["body"]>): Record<string, object> {
  const all = [[contentType, schema] as const, ...Object.entries(others)];
  return Object.fromEntries(all.map(([type, one]) => [type, { schema: one }]));
}

function responseOf({ description, contentType = "application/json", schema }: ReplyDescription): object {
  const typed = schema !== undefined || contentType !== "application/json";
  return { description, ...(typed ? { content: { [contentType]: { schema: schema ?? { type: "string" } } } } : {}) };
}

function componentSchemas(): Record<string, object> {
  const schemas: Record<string, object> = {
    Problem,
    MergePatch: strict({
      metadata: optional(Type.Object({ labels: optional(Type.Unknown()) })),
      spec: optional(Type.Unknown()),
    }),
    Wish: strict({
      kind: optional(Type.String()),
      metadata: optional(MetadataInput),
      spec: optional(
        Type.Object({}, { description: "as the kind's input has it, with as many of its fields as are wished" }),
      ),
    }),
    PlannedChange: strict({
      type: oneOf(["created", "updated", "deleted"] as const),
      kind: Type.String(),
      name: Type.String(),
      project: optional(Type.String()),
      diff: Type.Array(
        strict({
          path: Type.String({ description: "JSON pointer" }),
          before: optional(Type.Unknown()),
          after: optional(Type.Unknown()),
        }),
      ),
    }),
    Plan: object(
      {
        plan: { type: "array", items: schemaRef("PlannedChange"), description: "all that would change" },
        resource: { type: "object", description: "of one mutation: its resource as it would be" },
        operation: { ...schemaRef("Operation"), description: "that would go on with it, by a name made for this plan" },
        quota: { type: "array", items: schemaRef("QuotaEffect") },
        cost: { type: "array", items: schemaRef("CostEffect") },
        moves: { ...schemaRef("MoveForecast"), description: "of what moves many instances" },
      },
      ["plan", "quota", "cost"],
    ),
    QuotaEffect,
    CostEffect,
    MoveForecast,
    Undo: undoSchema,
    ImageOrPlan: { oneOf: [schemaRef("Image"), schemaRef("Plan")] },
    ErrorCode: {
      enum: errorCodes,
      description: errorCodes.map((code) => `${code}: ${errorCatalogue[code].title}.`).join(" "),
    },
  };
  for (const kind of kindNames) {
    schemas[kind] = shown(kinds[kind].resource);
    schemas[`${kind}List`] = object(
      { items: { type: "array", items: schemaRef(kind) }, revision: Type.Integer(), nextCursor: Type.String() },
      ["items", "revision"],
    );
    if (!isRecord(kind)) schemas[`${kind}Input`] = kinds[kind].input;
    schemas[`${kind}Mutation`] = object(
      {
        resource: schemaRef(kind),
        operation: schemaRef("Operation"),
        secret: Type.String({ description: "shown this once" }),
        result: oneOf(applyResults, "of an apply: what it came to for labels and spec"),
        revision: Type.Integer({
          description:
            "of this change, by which it is undone; none where nothing changed, and where a repeated request is known by its mark alone",
        }),
      },
      ["resource"],
    );
    schemas[`${kind}MutationOrPlan`] = {
      oneOf: [schemaRef(`${kind}Mutation`), schemaRef("Plan")],
    };
  }
  return schemas;
}

/** A kind's schema as replies have it: what is kept of secrets is never shown. */
function shown(resource: object): object {
  return JSON.parse(
    JSON.stringify(resource, (key, value: unknown) => (unshown.has(key) ? undefined : value)),
  ) as object;
}

const unshown = new Set(["secretHash", "credentials"]);

function object(properties: Readonly<Record<string, object>>, required: readonly string[]): object {
  return { type: "object", properties, required, additionalProperties: false };
}
