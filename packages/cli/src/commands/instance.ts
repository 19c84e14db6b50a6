import type { Command } from "commander";
import { SkerryError } from "@skerry/model";
import { attachConsole } from "../console.ts";
import { forwardPort } from "../port-forward.ts";
import { concludeMutation, showPlan } from "../mutation.ts";
import { openSession, withConnection, withMutation } from "../session.ts";
import type { CommandDeps } from "../command-deps.ts";
import { given, toNumber } from "./flag-values.ts";

interface ActionFlags {
  readonly dryRun?: boolean;
  readonly [flag: string]: unknown;
}

/** What can be done with an instance beyond what every kind has. */
export function addInstanceCommands(program: Command, deps: CommandDeps): void {
  const { terminal, signal } = deps;
  const instance = program.commands.find((command) => command.name() === "instance");
  if (instance === undefined) throw new Error("the kind commands come first");

  const action = (
    command: Command,
    name: string,
    past: string,
    input: (flags: ActionFlags) => Record<string, unknown>,
  ) =>
    withMutation(command).action(async (instanceName: string, flags: ActionFlags, self: Command) => {
      const session = await openSession(terminal, self);
      const key = session.key("Instance", instanceName);
      const body = given(input(flags));
      if (flags.dryRun ?? false)
        return showPlan(terminal, session, "Instance", key, { verb: "action", action: name, input: body }, signal);
      await concludeMutation(
        terminal,
        session,
        past,
        await session.client.action("Instance", key, name, body, {}, signal),
        signal,
      );
    });

  action(instance.command("start <name>").description("start a stopped one"), "start", "starting", () => ({}));
  action(
    instance
      .command("stop <name>")
      .description("shut the guest down; after its grace, or with --force at once, cut its power")
      .option("--grace <seconds>", "how long it may take to shut down; 30 where absent", toNumber)
      .option("--force", "cut the power at once"),
    "stop",
    "stopping",
    ({ force, grace }) => ({ force, graceSeconds: grace }),
  );
  action(
    instance.command("reboot <name>").description("shut the guest down and start it again"),
    "reboot",
    "rebooting",
    () => ({}),
  );
  action(
    instance
      .command("migrate <name>")
      .description("move it, with its disk, name and address")
      .option("--to-provider <name>", "to any fitting node of a provider")
      .option("--to-site <name>", "to any fitting node of a site")
      .option("--to-node <name>", "to this node"),
    "migrate",
    "moving",
    ({ toProvider, toSite, toNode }) => {
      if (toProvider === undefined && toSite === undefined && toNode === undefined) {
        throw new SkerryError("invalid-request", "Where to?", {
          remedy: "Give --to-provider, --to-site or --to-node.",
        });
      }
      return { toProvider, toSite, toNode };
    },
  );

  withMutation(instance.command("resize <name>"))
    .description("change the make-up of a stopped one; a disk only grows")
    .option("--vcpus <n>", "virtual processors", toNumber)
    .option("--memory <MiB>", "memory", toNumber)
    .option("--disk <MiB>", "root disk", toNumber)
    .action(
      async (
        name: string,
        flags: { vcpus?: number; memory?: number; disk?: number; dryRun?: boolean },
        self: Command,
      ) => {
        if (flags.vcpus === undefined && flags.memory === undefined && flags.disk === undefined)
          throw new SkerryError("invalid-request", "To what size?", { remedy: "Give --vcpus, --memory or --disk." });
        const session = await openSession(terminal, self);
        const key = session.key("Instance", name);
        const patch = { spec: given({ vcpus: flags.vcpus, memoryMiB: flags.memory, diskMiB: flags.disk }) };
        if (flags.dryRun ?? false)
          return showPlan(terminal, session, "Instance", key, { verb: "patch", patch }, signal);
        await concludeMutation(
          terminal,
          session,
          "resizing",
          await session.client.patch("Instance", key, patch, {}, signal),
          signal,
        );
      },
    );

  withConnection(instance.command("console <name>"))
    .description("its serial console; Ctrl-] leaves")
    .action(async (name: string, _flags: unknown, self: Command) => {
      const session = await openSession(terminal, self);
      await attachConsole(terminal, await session.client.openConsole(session.key("Instance", name), signal), signal);
    });

  withConnection(instance.command("log <name>"))
    .description("what its serial console has printed")
    .option("-f, --follow", "go on as it prints more")
    .action(async (name: string, flags: { follow?: boolean }, self: Command) => {
      const session = await openSession(terminal, self);
      const stream = await session.client.openConsoleLog(
        session.key("Instance", name),
        { follow: flags.follow ?? false },
        signal,
      );
      for await (const chunk of stream.readable) terminal.out.write(chunk);
    });

  withConnection(instance.command("forward <name> <ports>"))
    .description("reach a TCP port of the guest from here: 8080:80, or 80")
    .action(async (name: string, ports: string, _flags: unknown, self: Command) => {
      const match = /^(?:(\d{1,5}):)?(\d{1,5})$/.exec(ports);
      const [local, guest] = [Number(match?.[1] ?? match?.[2]), Number(match?.[2])];
      if (match === null || local > 65_535 || guest < 1 || guest > 65_535)
        throw new SkerryError("invalid-request", `"${ports}" is not a pair of ports.`, {
          remedy: "Write LOCAL:GUEST, at most 65535, for example 8080:80; a local 0 takes any that is free.",
        });
      const session = await openSession(terminal, self);
      const key = session.key("Instance", name);
      // Who mistypes a name learns it here, not at the first connection.
      await session.client.get("Instance", key, signal);
      await forwardPort(
        {
          localPort: local,
          open: () => session.client.openPort(key, guest, signal),
          onListening: (port) =>
            terminal.err.write(`http://127.0.0.1:${port} is port ${guest} of ${name}; Ctrl-C ends it\n`),
        },
        signal,
      );
    });
}
