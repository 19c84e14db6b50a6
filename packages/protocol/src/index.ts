export * from "./wanted.ts";
export * from "./wanted-change.ts";
export * from "./observed.ts";
export * from "./messages.ts";
export * from "./lease.ts";
export * from "./overlay-address.ts";
export * from "./join-token.ts";
export * from "./endpoint.ts";
