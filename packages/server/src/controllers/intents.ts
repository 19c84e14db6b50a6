import type { IntentTable } from "../intents.ts";
import type { Residents } from "../operations/kinds/convoy/scope.ts";
import type { OperationEngine } from "../operations/operation-kind.ts";
import type { Random } from "../operations/random.ts";
import type { PeopleIndex } from "../sign-in/people-index.ts";
import type { AddressBook } from "./addressing/address-book.ts";
import type { RightsIndex } from "../authorisation/rights-index.ts";
import type { Allocation } from "./allocation.ts";
import type { Fleet } from "./fleet.ts";
import { withinQuotas } from "./quotas/quota-guard.ts";
import type { SpendBook } from "./quotas/spend-book.ts";
import type { UsageBook } from "./quotas/usage-book.ts";
import { apiTokenIntents } from "./intents/api-token.ts";
import { disruptionBudgetIntents } from "./intents/disruption-budget.ts";
import { identityProviderIntents } from "./intents/identity-provider.ts";
import { imageIntents } from "./intents/image.ts";
import { instanceIntents } from "./intents/instance.ts";
import { joinTokenIntents } from "./intents/join-token.ts";
import { meterIntents } from "./intents/meter.ts";
import { networkIntents } from "./intents/network.ts";
import { nodeIntents } from "./intents/node.ts";
import { operationIntents } from "./intents/operation.ts";
import { organisationIntents } from "./intents/organisation.ts";
import { projectIntents } from "./intents/project.ts";
import { providerIntents } from "./intents/provider.ts";
import { siteIntents } from "./intents/site.ts";
import { roleBindingIntents } from "./intents/role-binding.ts";
import { roleIntents } from "./intents/role.ts";
import { groupIntents, serviceAccountIntents, userIntents } from "./intents/subjects.ts";
import { volumeIntents } from "./intents/volume.ts";

export interface IntentDeps {
  readonly allocation: Pick<Allocation, "in">;
  readonly addresses: Pick<AddressBook, "lease">;
  readonly fleet: Pick<Fleet, "in" | "placerIn" | "size" | "decided" | "requestOf">;
  readonly usage: Pick<UsageBook, "in">;
  readonly spend: Pick<SpendBook, "of">;
  readonly residents: Residents;
  readonly engine: Pick<OperationEngine, "submit" | "cancel" | "requireIdle">;
  readonly random: Random;
  /** What users, groups and service accounts were given. */
  readonly rights: Pick<RightsIndex, "grantsOf">;
  readonly people: Pick<PeopleIndex, "userIdOf" | "sessionIdsOf">;
  /** SHA-256 of the zone authority's certificate, hex: goes into join tokens, so that agents trust the right server. */
  readonly authorityFingerprint: string;
}

/** What every kind means by create, update, delete and its actions. */
export function makeIntents(deps: IntentDeps): IntentTable {
  return {
    Organisation: organisationIntents,
    Project: projectIntents,
    Provider: providerIntents(deps),
    Site: siteIntents(deps),
    Node: nodeIntents(deps),
    Image: imageIntents,
    Volume: volumeIntents,
    Network: networkIntents,
    Instance: withinQuotas(deps, instanceIntents(deps)),
    Operation: operationIntents(deps),
    JoinToken: joinTokenIntents(deps),
    ApiToken: apiTokenIntents(deps),
    User: userIntents(deps),
    Group: groupIntents(deps),
    ServiceAccount: serviceAccountIntents(deps),
    Role: roleIntents(deps),
    RoleBinding: roleBindingIntents(deps),
    IdentityProvider: identityProviderIntents,
    Meter: meterIntents,
    DisruptionBudget: disruptionBudgetIntents,
  };
}
