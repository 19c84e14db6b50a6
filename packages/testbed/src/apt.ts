import { runCommand } from "./command.ts";

/** Debian release of every host and guest of the testbed. */
export const suite = "bookworm";
const suites = [suite, `${suite}-updates`, `${suite}-security`];

/** One repository of Debian packages. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
}

const publicSources: readonly AptSource[] = [
  { uri: "http://deb.debian.org/debian", suite },
  { uri: "http://deb.debian.org/debian", suite: `${suite}-updates` },
  { uri: "http://deb.debian.org/debian-security", suite: `${suite}-security` },
];

/** apt settings of this machine that others must share to reach what it reaches. */
export interface AptSettings {
  readonly upstreamProxy: string | undefined;
  /** Whether mirrors' dates may be stale, as lines of an apt.conf. */
  readonly options: readonly string[];
}

export async function readAptSettings(signal?: AbortSignal): Promise<AptSettings> {
  return parseAptConfig((await runCommand(["apt-config", "dump"], { signal })).stdout);
}

/**
 * This machine's own Debian 12 sources; where it has none, Debian's public default stands in. Takes seconds on a machine
 * that keeps no package cache, so that only those ask who build something.
 */
export async function readAptSources(signal?: AbortSignal): Promise<readonly AptSource[]> {
  const format = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
  const targets = await runCommand(["apt-get", "indextargets", "--format", format, "Created-By: Packages"], { signal });
  const found = parseIndexTargets(targets.stdout);
  return found.some((source) => source.suite === suite) ? found : publicSources;
}

/** Debian 12's own sources among the lines "origin|uri|suite|component"; an origin is unknown before the first update. */
export function parseIndexTargets(text: string): readonly AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const [origin = "", uri = "", release = "", component] = line.split("|");
    if (component !== "main" || !suites.includes(release) || !/^https?:\/\/[^\s"[\]]+$/.test(uri)) continue;
    if (origin !== "Debian" && origin !== "" && !origin.startsWith("$(")) continue;
    const source = { uri: uri.replace(/\/+$/, ""), suite: release };
    if (!sources.some((other) => other.uri === source.uri && other.suite === source.suite)) sources.push(source);
  }
  return sources;
}

/** The options of `apt-config dump` that a host must share; values are quoted there and stay so. */
export function parseAptConfig(text: string): AptSettings {
  const shared = /^Acquire::(Check-Valid-Until|Check-Date) "(true|false)";$/;
  const proxy = /^Acquire::http::Proxy "(http:\/\/[^"\s]+)";$/m.exec(text)?.[1];
  return { upstreamProxy: proxy, options: text.split("\n").filter((line) => shared.test(line)) };
}

/** One-line sources; behind the caching proxy an https mirror is asked for by the proxy's own notation, so that it can cache. */
export function sourceLines(sources: readonly AptSource[], throughProxy: boolean): readonly string[] {
  return sources.map(({ uri, suite: name }) => {
    const address = throughProxy ? uri.replace(/^https:\/\//, "http://HTTPS///") : uri;
    return `deb ${address} ${name} main`;
  });
}
