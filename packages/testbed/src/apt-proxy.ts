import { chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { readAptSettings } from "./apt.ts";
import { runCommand } from "./command.ts";
import { groupProcesses, startInGroup } from "./control-group.ts";
import { aptProxyPort, controlPlaneAddress } from "./plan.ts";

export const aptProxyUrl = `http://${controlPlaneAddress}:${aptProxyPort}`;
const group = "apt-proxy";
/** The package's own unprivileged user. */
const user = "apt-cacher-ng";

export interface AptProxyPaths {
  /** Configuration and logs. Not below the testbed's state: that may lie in a folder that the proxy's user can't enter. */
  readonly directory: string;
  /** Downloaded packages; kept. */
  readonly cache: string;
}

/** Starts Debian's caching proxy on the control plane's address unless it runs; resolves when it answers. */
export async function ensureAptProxy(paths: AptProxyPaths, signal?: AbortSignal): Promise<void> {
  if ((await groupProcesses(group)).length > 0) return;
  const { upstreamProxy } = await readAptSettings(signal);
  const [uid, gid] = await Promise.all([idOf("-u", signal), idOf("-g", signal)]);
  for (const directory of [paths.cache, paths.directory, `${paths.directory}/log`]) {
    await mkdir(directory, { recursive: true, mode: 0o755 });
    await chown(directory, uid, gid);
  }
  const lines = [
    `CacheDir: ${paths.cache}`,
    `LogDir: ${paths.directory}/log`,
    "SupportDir: /usr/lib/apt-cacher-ng",
    `Port: ${aptProxyPort}`,
    `BindAddress: ${controlPlaneAddress}`,
    "ForeGround: 1",
    "ReportPage: acng-report.html",
    "ExThreshold: 30",
    // A mirror may listen on any port; only hosts of the testbed reach this proxy.
    "AllowUserPorts: 0",
    ...(upstreamProxy === undefined ? [] : [`Proxy: ${upstreamProxy}`]),
  ];
  await writeFile(`${paths.directory}/acng.conf`, `${lines.join("\n")}\n`, { mode: 0o644 });
  const identity = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--init-groups"];
  const argv = [...identity, "/usr/sbin/apt-cacher-ng", "-c", paths.directory];
  await startInGroup(group, argv, `${paths.directory}/daemon.log`);
  await untilAnswering(`${paths.directory}/daemon.log`, signal);
}

async function untilAnswering(logPath: string, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await aptProxyAnswers())) {
    if (Date.now() > deadline || (await groupProcesses(group)).length === 0) {
      const words = (await readFile(logPath, "utf8").catch(() => "")).trim();
      throw new Error(`the apt proxy did not come up on ${aptProxyUrl}; its words: ${words || "none"} (${logPath})`);
    }
    await delay(50, undefined, { signal });
  }
}

/** Whether the testbed's proxy is up. */
export async function aptProxyAnswers(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asked = request(aptProxyUrl, { timeout: 1_000 }, (response) => {
    response.resume();
    resolve(true);
  });
  asked.on("timeout", () => asked.destroy());
  asked.on("error", () => resolve(false));
  asked.end();
  return promise;
}

async function idOf(kind: "-u" | "-g", signal?: AbortSignal): Promise<number> {
  return Number((await runCommand(["id", kind, user], { signal })).stdout);
}
