import { evacuationKinds, type EvacuationDeps } from "./kinds/evacuation.ts";
import { instanceDeleteKind } from "./kinds/instance-delete.ts";
import { instanceMigrateKind, type MigrationDeps } from "./kinds/instance-migrate.ts";
import { instanceWatchKinds } from "./kinds/instance-watch.ts";
import { instanceReplaceKind, type ReplaceKindDeps } from "./kinds/instance-replace.ts";
import { nodeProvisionKind, type ProvisioningKindDeps } from "./kinds/node-provision.ts";
import { rebalancingKind } from "./kinds/rebalancing.ts";
import type { OperationKind } from "./operation-kind.ts";

export type OperationKindsDeps = MigrationDeps & ProvisioningKindDeps & ReplaceKindDeps & EvacuationDeps;

/**
 * Every kind of operation there is. Whatever is listed here is killed at each of its steps by
 * `test/controllers/operation-kills.test.ts`, which fails until it knows how to ask for it.
 */
export function operationKinds(deps: OperationKindsDeps): readonly OperationKind[] {
  return [
    ...instanceWatchKinds(deps.sight),
    instanceDeleteKind,
    instanceMigrateKind(deps),
    instanceReplaceKind(deps),
    nodeProvisionKind(deps),
    ...evacuationKinds(deps),
    rebalancingKind(deps),
  ];
}
