import type { InstanceResource, OperationResource } from "@skerry/model";
import type { Transaction } from "@skerry/store";
import type { IntentContext } from "../../intents.ts";
import { startMove, type MoveDeps, type MoveWish } from "../intents/instance-move.ts";
import type { BudgetGuard } from "./budget-guard.ts";

/**
 * Begins a move that the instance's owner did not ask for: the one way to one, within what disruption budgets allow in this very
 * transaction. @param guard of this transaction; absent where an operator has said that budgets don't count
 * @throws SkerryError disruption-budget, busy, conflict or no-placement, with nothing changed
 */
export function moveAway(
  deps: MoveDeps,
  tx: Transaction,
  guard: BudgetGuard | undefined,
  instance: InstanceResource,
  wish: MoveWish,
  context: Pick<IntentContext, "actor" | "cause">,
): OperationResource {
  const start = (): OperationResource => startMove(deps, tx, instance, wish, context).operation;
  return guard === undefined ? start() : guard.within(instance, start);
}
