import { auditContract } from "./audit-contract.ts";
import { feedContract } from "./feed-contract.ts";
import { indexContract } from "./index-contract.ts";
import { modelContract } from "./model-contract.ts";
import type { Backend } from "./place.ts";
import { transactionContract } from "./transaction-contract.ts";

/** What every backend must pass, as tests of the suite that calls it. */
export function storeContract(backend: Backend): void {
  transactionContract(backend);
  auditContract(backend);
  feedContract(backend);
  indexContract(backend);
  modelContract(backend);
}
