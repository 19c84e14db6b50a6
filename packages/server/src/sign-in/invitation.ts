import { SkerryError, type UserResource } from "@skerry/model";
import type { View } from "@skerry/store";
import { secretMatches } from "../authorisation/secret.ts";

/* One-time links: `ski1.<id of the user, or "first">.<secret>` as the code of a page's address. */

export const enrolmentPath = "/enrol";
export const firstStart = "first";
export const invitationMs = 86_400_000;

export interface InvitationParts {
  /** A user's id, or `first`. */
  readonly id: string;
  readonly secret: string;
}

export function formatInvitation({ id, secret }: InvitationParts): string {
  return `ski1.${id}.${secret}`;
}

/** Undefined where the text is not the code of a link. */
export function parseInvitation(text: string): InvitationParts | undefined {
  const match = /^ski1\.(first|usr_[0-9a-z]{26})\.([A-Za-z0-9_-]{43})$/.exec(text);
  if (match === null) return undefined;
  const [, id = "", secret = ""] = match;
  return { id, secret };
}

/** Whom a link is for. @throws SkerryError unauthenticated, in the same words whatever it lacks */
export function invitedUser(view: View, { id, secret }: InvitationParts, nowMs: number): UserResource {
  const user = view.getById("User", id);
  const invitation = user?.status.credentials?.invitation;
  // Not `<=`: a moment that does not parse must count as over.
  const isOpen = invitation !== undefined && nowMs < Date.parse(invitation.expiresAt);
  if (user === undefined || user.spec.disabled === true || !isOpen || !secretMatches(secret, invitation.hash))
    throw invalidLink();
  return user;
}

export function invalidLink(): SkerryError {
  return new SkerryError(
    "unauthenticated",
    "The link is not valid: it was used, has expired, or another one was made since.",
    {
      remedy:
        "Ask a platform-admin for another one: skerry user invite NAME. The first one is in first-start.link in the server's data directory, as long as nobody used it.",
    },
  );
}
