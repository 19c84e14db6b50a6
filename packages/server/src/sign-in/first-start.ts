import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { UserResource } from "@skerry/model";
import type { View } from "@skerry/store";
import type { RightsIndex } from "../authorisation/rights-index.ts";
import { mintSecret, secretMatches } from "../authorisation/secret.ts";
import type { Clock } from "../operations/clock.ts";
import { writePrivateFile } from "../secrets/private-file.ts";
import { enrolmentPath, firstStart, formatInvitation, invitationMs } from "./invitation.ts";

export interface FirstStartDeps {
  readonly store: View;
  readonly rights: Pick<RightsIndex, "grantsOf">;
  readonly clock: Clock;
  /** Where the link is kept, which its owner alone may read. */
  readonly file: string;
  /** Where this server is reached. */
  readonly url: string;
}

/** The link by which the first local user is made, who administers the platform: open until there is one, or a day has passed. */
export interface FirstStart {
  /** Whether this is its secret, and it may be used still; asked again within the transaction that makes the user. */
  isOpen(view: View, secret: string, nowMs: number): boolean;
  /** Used: the file goes. */
  close(): Promise<void>;
}

export const noFirstStart: FirstStart = { isOpen: () => false, close: () => Promise.resolve() };

/**
 * Opens the link where this zone has just been made, or its link was never used: a start makes another one, and that before is
 * worth nothing. Where there is a local admin it goes.
 */
export async function openFirstStart(deps: FirstStartDeps, isNew: boolean): Promise<FirstStart> {
  const { store, rights, clock, file, url } = deps;
  const wasOpen = existsSync(file);
  if (hasLocalAdmin(store, rights) || !(isNew || wasOpen)) {
    if (wasOpen) await rm(file, { force: true });
    return noFirstStart;
  }
  const minted = mintSecret();
  const expiresAtMs = clock.nowMs() + invitationMs;
  const link = `${url}${enrolmentPath}?code=${formatInvitation({ id: firstStart, secret: minted.secret })}`;
  await writePrivateFile(file, `${link}\n`);
  let open = true;
  return {
    isOpen: (view, secret, nowMs) =>
      open && nowMs < expiresAtMs && secretMatches(secret, minted.hash) && !hasLocalAdmin(view, rights),
    async close() {
      open = false;
      await rm(file, { force: true });
    },
  };
}

/** Whether somebody who signs in by a password administers the platform. */
function hasLocalAdmin(view: View, rights: Pick<RightsIndex, "grantsOf">): boolean {
  return view.list("User").some((user) => isLocal(user) && administers(rights, user.metadata.name));
}

function isLocal({ spec, status }: UserResource): boolean {
  return status.credentials?.password !== undefined && spec.disabled !== true;
}

function administers(rights: Pick<RightsIndex, "grantsOf">, name: string): boolean {
  return rights
    .grantsOf({ kind: "User", name })
    .some(
      ({ role, scope }) =>
        (role === "platform-admin" || role === "admin") && Object.values(scope).every((part) => part === undefined),
    );
}
