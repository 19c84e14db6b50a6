import { TestbedError, type HostPackages, type TestbedOptions, type TestbedProvider } from "./testbed.ts";

/**
 * Addresses, all in 10.210.0.0/16:
 * 10.210.0.1 this machine, 10.210.0.2 the WAN's end of the pair; 10.210.<p>.0/24 provider p (gateway .1, hosts from .11);
 * 10.210.250.(4p)/30 the delayed link of provider p (WAN .1, gateway .2 of it).
 */
export const testbedCidr = "10.210.0.0/16";
export const controlPlaneAddress = "10.210.0.1";
export const wanAddress = "10.210.0.2";
/** Interface on this machine that leads to the WAN; its presence in the root namespace is the testbed's alone. */
export const uplinkInterface = "sk-wan0";
export const wanNamespace = "sk-wan";
export const bridgeName = "br0";
export const gatewayLinkInterface = "wan0";
export const aptProxyPort = 3142;
export const sshUser = "operator";
export const mtu = 1500;

const limits = { providers: 20, nodesPerProvider: 20, wanDelayMs: 1_000 } as const;

export interface ProviderPlan extends TestbedProvider {
  readonly gateway: string;
  /** The provider's link: its interface in the WAN namespace and the /30's two ends. */
  readonly link: { readonly wanInterface: string; readonly wanAddress: string; readonly gatewayAddress: string };
}

export interface HostPlan {
  readonly name: string;
  readonly provider: number;
  readonly namespace: string;
  readonly address: string;
  readonly gateway: string;
  readonly packages: HostPackages;
}

export interface TestbedPlan {
  readonly options: TestbedOptions;
  readonly providers: readonly ProviderPlan[];
  readonly hosts: readonly HostPlan[];
}

/** Names and addresses of everything the options ask for; throws a TestbedError for options out of range. */
export function planTestbed(options: TestbedOptions): TestbedPlan {
  requireInteger("providers", options.providers, 1, limits.providers);
  requireInteger("nodes per provider", options.nodesPerProvider, 1, limits.nodesPerProvider);
  requireInteger("WAN delay in milliseconds", options.wanDelayMs, 0, limits.wanDelayMs);
  requireDirectory("state directory", options.stateDir);
  requireDirectory("cache directory", options.cacheDir);
  if (isWithin(options.cacheDir, options.stateDir) || isWithin(options.stateDir, options.cacheDir)) {
    throw new TestbedError(
      `the cache directory ${options.cacheDir} and the state directory ${options.stateDir} overlap`,
      "Choose two directories of which neither contains the other: the state directory is removed as a whole.",
    );
  }
  const providers = Array.from({ length: options.providers }, (_, at) => planProvider(at + 1));
  const last = options.providers * options.nodesPerProvider;
  const hosts = providers.flatMap((provider, providerAt) =>
    Array.from({ length: options.nodesPerProvider }, (_, nodeAt): HostPlan => {
      const number = providerAt * options.nodesPerProvider + nodeAt + 1;
      return {
        name: `p${provider.index}-h${nodeAt + 1}`,
        provider: provider.index,
        namespace: provider.namespace,
        address: `10.210.${provider.index}.${nodeAt + 11}`,
        gateway: provider.gateway,
        packages: number === last ? "bare" : "hypervisor",
      };
    }),
  );
  return { options, providers, hosts };
}

function planProvider(index: number): ProviderPlan {
  return {
    index,
    namespace: `sk-p${index}`,
    cidr: `10.210.${index}.0/24`,
    gateway: `10.210.${index}.1`,
    link: {
      wanInterface: `p${index}`,
      wanAddress: `10.210.250.${index * 4 + 1}`,
      gatewayAddress: `10.210.250.${index * 4 + 2}`,
    },
  };
}

/** Whether a network namespace of this name can only be the testbed's. */
export function isTestbedNamespace(name: string): boolean {
  return name === wanNamespace || /^sk-p([1-9]|1[0-9]|20)$/.test(name);
}

/** Whether an absolute path lies at or under a directory. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory.replace(/\/+$/, "")}/`);
}

function requireInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new TestbedError(
    `${name}: ${value} is not a whole number from ${least} to ${most}`,
    `Give a number from ${least} to ${most}.`,
  );
}

function requireDirectory(name: string, path: string): void {
  // Commas, colons and backslashes separate options of an overlay mount; a short path would be removed as a whole.
  if (/^\/[^,:\\\s]+\/[^,:\\\s]+$/.test(path) && !path.split("/").includes("..") && !path.endsWith("/")) return;
  throw new TestbedError(
    `${name}: ${path} is not usable`,
    "Give an absolute path at least two levels deep, without spaces, commas, colons, backslashes or a final slash.",
  );
}
