import { SkerryError, type OperationResource } from "@skerry/model";
import type { Client } from "./client.ts";

/** How often it is asked for beside the event stream, for where something on the way holds streams back. */
const pollMs = 5000;

/**
 * Follows an operation to its end by the event stream and, slowly, by asking. Calls back once for each newer state.
 * @throws SkerryError where the operation can't be read any more; the signal's reason
 */
export async function waitForOperation(
  client: Pick<Client, "get" | "watch">,
  name: string,
  onChange: (operation: OperationResource) => void,
  signal?: AbortSignal,
): Promise<OperationResource> {
  const done = new AbortController();
  const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  let newest = await client.get("Operation", { name }, signal);
  onChange(newest);
  const isOver = (): boolean => newest.status.endedAt !== undefined;
  const consider = (operation: OperationResource): void => {
    if (isOver() || operation.metadata.revision <= newest.metadata.revision) return;
    newest = operation;
    onChange(operation);
  };
  const follow = async (): Promise<void> => {
    try {
      for await (const { type, object } of client.watch(newest.metadata.revision, either, ["Operation"])) {
        if (object.kind !== "Operation" || object.metadata.name !== name) continue;
        consider(object);
        if (isOver() || type === "deleted") return;
      }
    } catch (error) {
      if (!(error instanceof SkerryError) || error.code !== "revision-too-old") throw error;
      // The log has forgotten where we began; asking is left.
      await aborted(either);
    }
  };
  const poll = async (): Promise<void> => {
    while (!isOver() && !either.aborted) {
      await Promise.race([aborted(either), new Promise((resolve) => setTimeout(resolve, pollMs))]);
      if (!either.aborted) consider(await askAgain(client, newest, either));
    }
  };
  if (isOver()) return newest;
  try {
    await Promise.race([follow(), poll()]);
  } finally {
    done.abort();
  }
  signal?.throwIfAborted();
  return newest;
}

/** What is known already, where the server can't be reached for the moment. */
async function askAgain(
  client: Pick<Client, "get">,
  known: OperationResource,
  signal: AbortSignal,
): Promise<OperationResource> {
  try {
    return await client.get("Operation", { name: known.metadata.name }, signal);
  } catch (error) {
    if (signal.aborted || (error instanceof SkerryError && error.code === "unavailable")) return known;
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
