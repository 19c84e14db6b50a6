import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import type { AgentOptions } from "../../src/options.ts";
import { agentProgram } from "./agent-program.ts";

/** An agent that can be killed and started again over the same data folder. */
export class AgentProcess {
  readonly options: AgentOptions;
  readonly #program: string;
  #child: ChildProcess | undefined;

  private constructor(options: AgentOptions, program: string) {
    this.options = options;
    this.#program = program;
  }

  static async make(options: AgentOptions): Promise<AgentProcess> {
    return new AgentProcess(options, await agentProgram());
  }

  start(): void {
    const log = createWriteStream(join(this.options.dataFolder, "agent.log"), { flags: "a" });
    this.#child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--enable-source-maps", this.#program, JSON.stringify(this.options)],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    this.#child.stderr?.pipe(log);
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** Ends it with `signal` and waits until it is gone; gives its exit code. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, "exit") as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await exited;
    return code;
  }
}
