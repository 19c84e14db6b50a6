import type { RpcConnection } from "./rpc-connection.ts";
import { errorNumbers, LibvirtError } from "./libvirt-error.ts";
import { XdrWriter, type XdrReader } from "./xdr.ts";

/* libvirt's functions that the driver uses, by their public names' numbers and flags. */

/** How libvirt names a domain in every call; `id` is -1 while it does not run. */
export interface Domain {
  readonly name: string;
  readonly uuid: Buffer;
  readonly id: number;
}

/** `VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL` */
const stateAndCpu = 1 | 2;
/** `VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT`: a guest that is busy does not hold up the list. */
const noWait = 1 << 29;
/** `VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN` */
const powerButton = 1;
/** `VIR_DOMAIN_UNDEFINE_`: `MANAGED_SAVE`, `SNAPSHOTS_METADATA`, `NVRAM`, `CHECKPOINTS_METADATA`; none is a disk. */
const undefineWhole = 1 | 2 | 4 | 16;
/** `VIR_DOMAIN_METADATA_ELEMENT` */
const metadataElement = 2;
/** `VIR_DOMAIN_EVENT_ID_LIFECYCLE` */
const lifecycle = 0;
/** `REMOTE_AUTH_NONE` */
const noAuthentication = 0;

/** `virDomainState` and the reason's number, which means something else for each state. */
export interface DomainStats {
  readonly domain: Domain;
  readonly state: number;
  readonly reason: number;
  readonly cpuNanoseconds: bigint;
}

/** Opens the hypervisor behind the connection. @throws LibvirtError where the caller is not let in */
export async function open(connection: RpcConnection, uri: string, signal: AbortSignal): Promise<void> {
  const offered = (await connection.call("authList", Buffer.alloc(0), signal)).list((reader) => reader.int());
  if (!offered.includes(noAuthentication))
    throw new LibvirtError(0, "it asks for a password or a policy; the agent must run as root");
  await connection.call("open", new XdrWriter().optionalString(uri).uint(0).bytes(), signal);
}

export async function listenForLifecycle(connection: RpcConnection, signal: AbortSignal): Promise<void> {
  await connection.call("registerEvent", new XdrWriter().int(lifecycle).uint(0).bytes(), signal);
}

/** Versions of the hypervisor and of libvirt, as "7.2.22". */
export async function versions(
  connection: RpcConnection,
  signal: AbortSignal,
): Promise<{ readonly hypervisor: string; readonly libvirt: string }> {
  const [hypervisor, libvirt] = await Promise.all([
    connection.call("getVersion", Buffer.alloc(0), signal),
    connection.call("getLibVersion", Buffer.alloc(0), signal),
  ]);
  return { hypervisor: versionText(hypervisor.unsignedHyper()), libvirt: versionText(libvirt.unsignedHyper()) };
}

function versionText(packed: bigint): string {
  return `${packed / 1_000_000n}.${(packed / 1000n) % 1000n}.${packed % 1000n}`;
}

/** Undefined where there is no such domain. */
export async function lookup(
  connection: RpcConnection,
  name: string,
  signal: AbortSignal,
): Promise<Domain | undefined> {
  try {
    return readDomain(await connection.call("lookupByName", new XdrWriter().string(name).bytes(), signal));
  } catch (error) {
    if (error instanceof LibvirtError && error.number === errorNumbers.noDomain) return undefined;
    throw error;
  }
}

/** Every domain, running or not, in one call. */
export async function allDomainStats(connection: RpcConnection, signal: AbortSignal): Promise<readonly DomainStats[]> {
  const reply = await connection.call(
    "getAllDomainStats",
    new XdrWriter().uint(0).uint(stateAndCpu).uint(noWait).bytes(),
    signal,
  );
  return reply.list((reader) => {
    const domain = readDomain(reader);
    const values = new Map(reader.list(readTypedParameter));
    return {
      domain,
      state: Number(values.get("state.state") ?? 0),
      reason: Number(values.get("state.reason") ?? 0),
      cpuNanoseconds: BigInt(values.get("cpu.time") ?? 0n),
    };
  });
}

/** The domain's metadata of one namespace, as XML; undefined where it has none. */
export async function metadata(
  connection: RpcConnection,
  domain: Domain,
  namespace: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const args = writeDomain(domain).int(metadataElement).optionalString(namespace).uint(0);
    return (await connection.call("getMetadata", args.bytes(), signal)).string();
  } catch (error) {
    const absent: readonly number[] = [errorNumbers.noDomain, errorNumbers.noDomainMetadata];
    if (error instanceof LibvirtError && absent.includes(error.number)) return undefined;
    throw error;
  }
}

export async function define(connection: RpcConnection, xml: string, signal: AbortSignal): Promise<void> {
  await connection.call("defineXmlFlags", new XdrWriter().string(xml).uint(0).bytes(), signal);
}

export async function create(connection: RpcConnection, domain: Domain, signal: AbortSignal): Promise<void> {
  await connection.call("createWithFlags", writeDomain(domain).uint(0).bytes(), signal);
}

export async function pressPowerButton(connection: RpcConnection, domain: Domain, signal: AbortSignal): Promise<void> {
  await connection.call("shutdownFlags", writeDomain(domain).uint(powerButton).bytes(), signal);
}

/** Returns once the process has ended, by SIGKILL if need be. */
export async function destroy(connection: RpcConnection, domain: Domain, signal: AbortSignal): Promise<void> {
  await connection.call("destroy", writeDomain(domain).bytes(), signal);
}

export async function undefine(connection: RpcConnection, domain: Domain, signal: AbortSignal): Promise<void> {
  await connection.call("undefineFlags", writeDomain(domain).uint(undefineWhole).bytes(), signal);
}

function writeDomain(domain: Domain): XdrWriter {
  return new XdrWriter().string(domain.name).fixed(domain.uuid).int(domain.id);
}

function readDomain(reader: XdrReader): Domain {
  return { name: reader.string(), uuid: reader.fixed(16), id: reader.int() };
}

/** `remote_typed_param`: a name and a value of one of seven types. */
function readTypedParameter(reader: XdrReader): [string, bigint | number | string] {
  const name = reader.string();
  const type = reader.int();
  switch (type) {
    case 1:
    case 6:
      return [name, reader.int()];
    case 2:
      return [name, reader.uint()];
    case 3:
      return [name, reader.hyper()];
    case 4:
      return [name, reader.unsignedHyper()];
    case 5:
      return [name, reader.double()];
    case 7:
      return [name, reader.string()];
    default:
      throw new RangeError(`a value of type ${type}, which is not known`);
  }
}
