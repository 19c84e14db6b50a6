import { addressText, type InstanceOutline, type VolumeOutline } from "../outline.ts";
import type { Table } from "./table.ts";

/** What plain rows of either kind say; each part is made when it is asked for, since sums ask for few. */
class PlainRow {
  protected readonly table: Table;
  protected readonly row: number;
  readonly #prefix: string;

  /** @param prefix of the name key: the project and a space */
  constructor(table: Table, row: number, prefix: string) {
    this.table = table;
    this.row = row;
    this.#prefix = prefix;
  }

  get project(): string {
    return this.#prefix.slice(0, -1);
  }

  get name(): string {
    return this.table.name(this.row, this.#prefix.length);
  }

  get metadata(): { readonly project: string; readonly name: string } {
    return this;
  }

  get assignment(): { readonly nodeId: string } | undefined {
    const nodeId = this.table.node(this.row);
    return nodeId === "" ? undefined : { nodeId };
  }
}

export class InstanceRow extends PlainRow implements InstanceOutline {
  get spec(): InstanceOutline["spec"] {
    const [vcpus, memoryMiB] = this.table.amounts(this.row);
    const network = this.table.network(this.row);
    return { vcpus, memoryMiB, networks: network === "" ? [] : [network] };
  }

  get status(): InstanceOutline["status"] {
    const address = this.table.address(this.row);
    if (address === 0) return { addresses: [] };
    return { addresses: [{ network: this.table.network(this.row), address: addressText(address) }] };
  }
}

export class VolumeRow extends PlainRow implements VolumeOutline {
  get spec(): VolumeOutline["spec"] {
    const [sizeMiB] = this.table.amounts(this.row);
    // A volume is plain only where it is called as its instance.
    return { sizeMiB, instance: this.name };
  }
}
