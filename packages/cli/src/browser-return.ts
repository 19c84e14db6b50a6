import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SkerryError } from "@skerry/model";

/** Where a browser on this machine comes back to, once somebody has signed in (RFC 8252, 7.3). */
export interface BrowserReturn extends Disposable {
  readonly redirectUri: string;
  /** The query that it came back with, of the sign-in of this state alone. */
  answer(state: string, signal: AbortSignal): Promise<string>;
}

const patienceMs = 600_000;
const page = (words: string): string =>
  `<!doctype html><meta charset="utf-8"><title>Skerry</title><p style="font-family:sans-serif">${words}</p>\n`;

/** Listens on this machine alone, on a port that is free. */
export async function awaitBrowser(): Promise<BrowserReturn> {
  const came = Promise.withResolvers<string>();
  let expected: string | undefined;
  const server = createServer((request, response) => {
    const { pathname, search, searchParams } = new URL(request.url ?? "", "http://127.0.0.1");
    // Whatever else is asked here is of another program, or another sign-in.
    const isOwn = request.method === "GET" && pathname === "/callback" && searchParams.get("state") === expected;
    response.writeHead(isOwn ? 200 : 404, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
      "referrer-policy": "no-referrer",
      connection: "close",
    });
    response.end(page(isOwn ? "You may close this window, and go back to the terminal." : "There is nothing here."));
    if (isOwn) came.resolve(search.slice(1));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    redirectUri: `http://127.0.0.1:${port}/callback`,
    async answer(state, signal) {
      expected = state;
      const timeout = AbortSignal.timeout(patienceMs);
      const over = AbortSignal.any([signal, timeout]);
      const ended = once(over, "abort").then(() => {
        if (signal.aborted) throw signal.reason as Error;
        throw new SkerryError("deadline-exceeded", "The browser did not come back within 10 minutes.", {
          remedy: "Sign in again; without a browser on this machine: skerry login --device",
        });
      });
      return Promise.race([came.promise, ended]);
    },
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Opens an address in the person's browser, where there is one; they can open it themselves. */
export function openBrowser(url: string): void {
  if (!/^https?:\/\//.test(url)) return;
  const opener = process.platform === "darwin" ? "open" : "xdg-open";
  const child = spawn(opener, [url], { stdio: "ignore", detached: true });
  // There is none here; the address was printed.
  child.on("error", () => undefined);
  child.unref();
}
