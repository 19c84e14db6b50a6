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

/** How this machine reaches Debian: mirrors, an upstream proxy, and whether its mirrors' dates may be stale. */
export interface AptAccess {
  readonly sources: readonly AptSource[];
  readonly upstreamProxy: string | undefined;
  /** apt options, as lines of an apt.conf, that hosts need as much as this machine does. */
  readonly options: readonly string[];
}

/** Reads this machine's own apt configuration; where it has no Debian 12 source, Debian's public default stands in. */
export async function readAptAccess(signal?: AbortSignal): Promise<AptAccess> {
  const format = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
  const targets = await runCommand(["apt-get", "indextargets", "--format", format, "Created-By: Packages"], { signal });
  const found = parseIndexTargets(targets.stdout);
  const config = await runCommand(["apt-config", "dump"], { signal });
  return {
    sources: found.some((source) => source.suite === suite) ? found : publicSources,
    ...parseAptConfig(config.stdout),
  };
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
export function parseAptConfig(text: string): Pick<AptAccess, "upstreamProxy" | "options"> {
  const shared = /^Acquire::(Check-Valid-Until|Check-Date) "(true|false)";$/;
  const proxy = /^Acquire::http::Proxy "(http:\/\/[^"\s]+)";$/m.exec(text)?.[1];
  return { upstreamProxy: proxy, options: text.split("\n").filter((line) => shared.test(line)) };
}

/** One-line sources; behind the caching proxy an https mirror is asked for by the proxy's own notation, so that it can cache. */
export function sourceLines(access: AptAccess, throughProxy: boolean): readonly string[] {
  return access.sources.map(({ uri, suite: name }) => {
    const address = throughProxy ? uri.replace(/^https:\/\//, "http://HTTPS///") : uri;
    return `deb ${address} ${name} main`;
  });
}
