import type { Identity } from "../identity.ts";
import { LinkRefused, openSession } from "./session.ts";

/** Whether the server still knows this node. @throws SkerryError host-unreachable */
export async function checkLink(identity: Identity, signal: AbortSignal): Promise<"welcome" | "refused"> {
  const ignore = (): void => undefined;
  try {
    const session = await openSession(
      identity,
      0,
      { onMessage: ignore, onAlive: ignore, onUnreadable: ignore },
      signal,
    );
    session.close("the check is done");
    await session.closed;
    return "welcome";
  } catch (error) {
    if (error instanceof LinkRefused) return "refused";
    throw error;
  }
}
