import type { SkerryError } from "@skerry/model";
import type { OperationKind, OperationStepKind, RunStep, StepContext } from "../../src/operations/operation-kind.ts";

/** The world outside the store: what steps have built there, and the order in which they did it. */
export class WorkSite {
  readonly built = new Set<string>();
  readonly log: string[] = [];

  /** A step that builds one thing, half of it before a note and half after, and can take it down. */
  step(name: string, extra: Partial<RunStep> = {}): OperationStepKind {
    return {
      name,
      run: async (context) => {
        this.built.add(`${name}/1`);
        await context.note({ [name]: "half" });
        this.built.add(`${name}/2`);
        this.log.push(name);
      },
      compensate: async (context) => {
        this.built.delete(`${name}/2`);
        await context.note({ [name]: "half gone" });
        this.built.delete(`${name}/1`);
        this.log.push(`undo ${name}`);
      },
      ...extra,
    };
  }

  kind(...steps: OperationStepKind[]): OperationKind {
    return { type: "test.build", deadlineMs: 60 * 60_000, steps: () => steps };
  }
}

export function failing(error: SkerryError): (context: StepContext) => Promise<void> {
  return () => Promise.reject(error);
}

/** Waits for the end of its attempt. */
export function endless(_context: StepContext, signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  );
}
