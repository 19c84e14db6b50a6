import { randomBytes } from "node:crypto";
import { makeId } from "@skerry/model";

/** A fresh id as the server makes them. */
export function newId(prefix: "vol" | "ins" | "net" | "nod" | "jtk"): string {
  return makeId(prefix, Date.now(), randomBytes(10));
}
