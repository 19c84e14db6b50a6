import { Type } from "typebox";

/** A taint of nodes, and what tolerates it. */
export const Taint = Type.String({
  pattern: "^[a-z0-9]([-a-z0-9./]{0,61}[a-z0-9])?(=[-A-Za-z0-9_.]{0,63})?$",
  description: "a word, or KEY=VALUE, such as gpu=only",
});
