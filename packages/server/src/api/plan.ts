import type { KindName, ResourceOf } from "@skerry/model";
import { withWrites, type Transaction } from "@skerry/store";
import { sees } from "../authorisation/authorise.ts";
import type { Principal } from "../authorisation/principal.ts";
import { differences, type FieldDifference } from "./difference.ts";
import { represent } from "./representation.ts";

/** One object that a mutation would create, change or delete. */
export interface PlannedChange {
  readonly type: "created" | "updated" | "deleted";
  readonly kind: KindName;
  readonly name: string;
  readonly project?: string | undefined;
  readonly diff: readonly FieldDifference[];
}

type StoredObject = ResourceOf<KindName>;

/** Made anew with each write, or whose fields are alone: they say nothing about a plan. */
const volatileFields = [
  "id",
  "revision",
  "generation",
  "createdAt",
  "updatedAt",
  "schemaVersion",
  "managers",
  "madeBy",
  "formerly",
] as const;

/** Remembers what each object was before a transaction first touched it. */
export class TouchedObjects {
  readonly #tx: Transaction;
  readonly #before = new Map<string, { readonly kind: KindName; readonly object: StoredObject | undefined }>();

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  /** The transaction, seen through this record. */
  transaction(): Transaction {
    const tx = this.#tx;
    const touch = (kind: KindName, id: string): void => this.#touch(kind, id);
    return withWrites(tx, {
      put: (object) => {
        touch(object.kind, object.metadata.id);
        return tx.put(object);
      },
      amend: (object) => {
        touch(object.kind, object.metadata.id);
        return tx.amend(object);
      },
      delete: (kind, id) => {
        touch(kind, id);
        tx.delete(kind, id);
      },
    });
  }

  /** Lets go what was marked to be deleted, with the volumes of instances: what it comes to once nodes have done their part. */
  finishDeletions(): void {
    for (const [id, { kind }] of this.#before) {
      if (this.#tx.getById(kind, id)?.metadata.deletedAt !== undefined) this.#tx.delete(kind, id);
    }
  }

  /** What changed in all, as far as the principal may see it. */
  plan(principal: Principal): PlannedChange[] {
    return [...this.#before].flatMap(([id, { kind, object: before }]) => {
      const after = this.#tx.getById(kind, id);
      const object = after ?? before;
      if (object === undefined || !sees(principal, object)) return [];
      const diff = differences(visible(before), visible(after));
      if (diff.length === 0) return [];
      const { name, project } = object.metadata;
      const type = before === undefined ? "created" : after === undefined ? "deleted" : "updated";
      return [{ type, kind, name, ...(project === undefined ? {} : { project }), diff }];
    });
  }

  #touch(kind: KindName, id: string): void {
    if (!this.#before.has(id)) this.#before.set(id, { kind, object: this.#tx.getById(kind, id) });
  }
}

function visible(object: StoredObject | undefined): unknown {
  if (object === undefined) return undefined;
  const { metadata, ...rest } = represent(object);
  const stable = Object.entries(metadata).filter(([field]) => !(volatileFields as readonly string[]).includes(field));
  return { ...rest, metadata: Object.fromEntries(stable) };
}
