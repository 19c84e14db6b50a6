import { createHash } from "node:crypto";
import type { UserResource } from "@skerry/model";
import type { View } from "@skerry/store";
import type { PeopleIndex } from "./people-index.ts";

/** The user whom an issuer knows by this subject: the one way in which somebody is recognised. */
export function userOf(
  view: Pick<View, "getById">,
  people: Pick<PeopleIndex, "userIdOf">,
  issuer: string,
  subject: string,
): UserResource | undefined {
  const id = people.userIdOf(issuer, subject);
  const user = id === undefined ? undefined : view.getById("User", id);
  const identity = user?.status.identity;
  return identity?.issuer === issuer && identity.subject === subject ? user : undefined;
}

/** A name for somebody new, after what they are called there; never one that is taken, whoever has it. */
export function freshName(view: Pick<View, "get">, wanted: string, issuer: string, subject: string): string {
  const plain = wanted
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/@.*$/, "")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  const base = plain === "" ? "user" : plain;
  if (plain !== "" && view.get("User", { name: base }) === undefined) return base;
  const digest = createHash("sha256")
    .update(JSON.stringify([issuer, subject]))
    .digest("hex");
  return `${base}-${digest.slice(0, 16)}`;
}
