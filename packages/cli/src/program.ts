import { Command } from "commander";
import type { CommandDeps } from "./command-deps.ts";
import { addAgentCommands } from "./commands/agent.ts";
import { addAuditCommands } from "./commands/audit.ts";
import { addBackupCommand } from "./commands/backup.ts";
import { addApplyCommand } from "./commands/apply.ts";
import { addContextCommands } from "./commands/context.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addEventsCommand } from "./commands/events.ts";
import { addFleetCommand } from "./commands/fleet.ts";
import { addImageCommands } from "./commands/image.ts";
import { addInstanceCommands } from "./commands/instance.ts";
import { addKindCommands } from "./commands/kind.ts";
import { addMaintenanceCommands } from "./commands/maintenance.ts";
import { addNodeCommands } from "./commands/node.ts";
import { addOperationCommands } from "./commands/operation.ts";
import { addPlacementCommands } from "./commands/placement.ts";
import { addQuotaCommands } from "./commands/quota.ts";
import { addRebalanceCommand } from "./commands/rebalance.ts";
import { addReferenceCommands } from "./commands/reference.ts";
import { addServerCommand } from "./commands/server.ts";
import { addSignInCommands } from "./commands/sign-in.ts";
import { addTestbedCommands } from "./commands/testbed.ts";
import { addUndoCommand } from "./commands/undo.ts";
import { addUsageCommand } from "./commands/usage.ts";
import { addUserCommands } from "./commands/user.ts";
import { version } from "./version.ts";

/** The whole command tree; building it imports no server, agent or testbed. */
export function buildProgram(deps: CommandDeps): Command {
  const program = new Command("skerry")
    .description("One control plane over many providers' clouds and edge sites.")
    .version(version(), "-V, --version", "print the version")
    .option("--verbose", "show each API call, and where an error came from")
    .showSuggestionAfterError()
    .helpCommand(false)
    .exitOverride();
  program.configureHelp({ sortSubcommands: true, showGlobalOptions: false });
  addDemoCommand(program, deps);
  addDoctorCommand(program, deps);
  addTestbedCommands(program, deps);
  addFleetCommand(program, deps);
  addServerCommand(program, deps);
  addBackupCommand(program, deps);
  addAuditCommands(program, deps);
  addAgentCommands(program, deps);
  addContextCommands(program, deps);
  addApplyCommand(program, deps);
  addEventsCommand(program, deps);
  addSignInCommands(program, deps);
  addKindCommands(program, deps);
  addUserCommands(program, deps);
  addImageCommands(program, deps);
  addQuotaCommands(program, deps);
  addInstanceCommands(program, deps);
  addNodeCommands(program, deps);
  addMaintenanceCommands(program, deps);
  addPlacementCommands(program, deps);
  addRebalanceCommand(program, deps);
  addOperationCommands(program, deps);
  addUndoCommand(program, deps);
  addUsageCommand(program, deps);
  addReferenceCommands(program, deps);
  return program;
}
