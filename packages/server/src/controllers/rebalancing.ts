import type { OperationResource, RebalanceProposals } from "@skerry/model";
import type { RebalanceObjective } from "@skerry/placement";
import type { Transaction } from "@skerry/store";
import type { OperationEngine } from "../operations/operation-kind.ts";
import { rebalanceSubject, rebalanceType, type RebalancingInput } from "../operations/kinds/rebalancing.ts";
import { proposalsOf, type ProposalDeps, type Proposed } from "./disruption/rebalance-proposals.ts";

export interface RebalanceWish {
  readonly objective: RebalanceObjective;
  readonly maxMoves: number;
  readonly maxParallel: number;
  readonly ignoreBudgets: boolean;
}

/** Finds moves that gain something, and has them carried out. */
export interface Rebalancing {
  propose(tx: Transaction, wish: Pick<RebalanceWish, "objective" | "maxMoves">): RebalanceProposals;
  /** Finds them anew, as things are in this transaction, and begins them; no operation where there are none. */
  begin(
    tx: Transaction,
    wish: RebalanceWish,
    context: { readonly actor: string; readonly cause: string },
  ): { readonly proposals: RebalanceProposals; readonly operation?: OperationResource };
}

export function makeRebalancing(
  deps: ProposalDeps & { readonly engine: Pick<OperationEngine, "submit"> },
): Rebalancing {
  return {
    propose: (tx, wish) => shown(proposalsOf(deps, tx, wish)),
    begin(tx, wish, context) {
      const found = proposalsOf(deps, tx, wish);
      const proposals = shown(found);
      if (found.moves.length === 0) return { proposals };
      const { maxParallel, ignoreBudgets } = wish;
      const input: RebalancingInput = {
        moves: found.moves.map(({ instanceId, from, fromId, to }) => ({
          instanceId,
          from: { node: from, nodeId: fromId },
          to: { node: to },
        })),
        ...{ maxParallel, ignoreBudgets, onBlocked: "skip" },
      };
      const operation = deps.engine.submit(tx, {
        type: rebalanceType,
        targets: [rebalanceSubject],
        ...context,
        input: { ...input },
      });
      return { proposals, operation };
    },
  };
}

function shown({ moves, ...rest }: ReturnType<typeof proposalsOf>): RebalanceProposals {
  const told = ({ instanceId: _its, fromId: _there, ...move }: Proposed) => move;
  return { ...rest, moves: moves.map(told) };
}
