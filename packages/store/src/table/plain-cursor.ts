import type { PlainInstance, PlainVolume } from "../outline.ts";
import type { Table } from "./table.ts";

/** Shows one plain row after the other. */
abstract class PlainCursor {
  row = -1;
  protected readonly table: Table;
  /** Of the last row's name key: the project and a space; neighbours are of one project mostly. */
  #prefix = "";

  constructor(table: Table) {
    this.table = table;
  }

  get project(): string {
    if (!this.table.hasPrefix(this.row, this.#prefix)) {
      const name = this.table.name(this.row);
      this.#prefix = name.slice(0, name.indexOf(" ") + 1);
    }
    return this.#prefix.slice(0, -1);
  }

  get nodeId(): string {
    return this.table.node(this.row);
  }
}

export class InstanceCursor extends PlainCursor implements PlainInstance {
  readonly #volumes: Table;

  constructor(table: Table, volumes: Table) {
    super(table);
    this.#volumes = volumes;
  }

  get vcpus(): number {
    return this.table.amount(this.row);
  }

  get memoryMiB(): number {
    return this.table.secondAmount(this.row);
  }

  get network(): string {
    return this.table.network(this.row);
  }

  get address(): number {
    return this.table.address(this.row);
  }

  get rootVolume(): { readonly sizeMiB: number } | undefined {
    const volume = this.#volumes.rowNamedAs(this.table, this.row);
    if (volume === -1) return none;
    // A volume is plain only where it is that of the instance of its name.
    return this.#volumes.isPlain(volume) ? { sizeMiB: this.#volumes.amount(volume) } : undefined;
  }

  get key(): { readonly project: string; readonly name: string } {
    const { project } = this;
    return { project, name: this.table.name(this.row).slice(project.length + 1) };
  }
}

export class VolumeCursor extends PlainCursor implements PlainVolume {
  get sizeMiB(): number {
    return this.table.amount(this.row);
  }
}

const none = { sizeMiB: 0 };
