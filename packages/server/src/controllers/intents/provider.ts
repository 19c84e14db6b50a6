import type { ProviderResource } from "@skerry/model";
import type { KindIntents } from "../../intents.ts";
import { refuseViolations } from "../placing.ts";
import { inUse, invalidField } from "../refusal.ts";
import { evacuateAction, type EvacuatingDeps } from "./evacuating.ts";
import { bindingsAt } from "./role-binding.ts";
import { forget, store } from "./zone-kind.ts";

export function providerIntents(deps: EvacuatingDeps): KindIntents<"Provider"> {
  return {
    initialStatus: { conditions: [] },
    create(tx, draft) {
      checkAccess(draft);
      return store(tx, draft);
    },
    update(tx, _before, after) {
      checkAccess(after);
      const outcome = store(tx, after);
      refuseViolations(tx, ({ provider }) => provider === after.metadata.name);
      return outcome;
    },
    remove(tx, provider, context) {
      const { name } = provider.metadata;
      const sites = tx.list("Site").filter((site) => site.spec.provider === name);
      const users = [...sites.map((site) => `site ${site.metadata.name}`), ...bindingsAt(tx, { provider: name })];
      if (users.length > 0)
        throw inUse(
          `The provider ${name}`,
          users,
          "Delete these first: skerry site delete NAME, skerry role-binding delete NAME",
        );
      return forget(tx, provider, context);
    },
    actions: {
      evacuate: evacuateAction(deps, "Provider", "Cordon the provider, and move every instance away from its nodes"),
    },
  };
}

function checkAccess(provider: ProviderResource): void {
  if (provider.spec.driver === "ssh" && provider.spec.ssh === undefined) {
    throw invalidField(
      "/spec/ssh",
      "is needed by the driver ssh",
      "Give the user and private key with which the hosts are reached.",
    );
  }
}
