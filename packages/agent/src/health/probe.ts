import type { HealthCheck } from "@skerry/model";
import type { ComputeDriver } from "../drivers/compute.ts";

/** Longest beginning of an answer that is read for its status line. */
const maxStatusBytes = 1024;

/** Asks a guest once, for at most `attemptMs`: an HTTP GET that answers 2xx or 3xx, or a TCP connection that opens. */
export async function probe(
  compute: ComputeDriver,
  instanceId: string,
  address: string,
  check: HealthCheck,
  attemptMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]);
  try {
    const stream = await compute.dial(instanceId, address, check.port, deadline);
    // Errors are seen where the stream is read; without this one after that would end the process.
    stream.on("error", () => undefined);
    const abort = (): void => void stream.destroy(new Error("no answer in time"));
    deadline.addEventListener("abort", abort, { once: true });
    try {
      if (check.kind === "tcp") return true;
      stream.write(
        `GET ${check.path ?? "/"} HTTP/1.0\r\nHost: ${address}\r\nUser-Agent: skerry-agent\r\nConnection: close\r\n\r\n`,
      );
      let head = "";
      for await (const chunk of stream) {
        head += (chunk as Buffer).toString("latin1");
        if (head.includes("\n") || head.length > maxStatusBytes) break;
      }
      return /^HTTP\/1\.[01] [23]\d\d[ \r\n]/.test(head);
    } finally {
      deadline.removeEventListener("abort", abort);
      stream.destroy();
    }
  } catch {
    return false; // Refused, cut or too late: all of them mean that it does not serve.
  }
}
