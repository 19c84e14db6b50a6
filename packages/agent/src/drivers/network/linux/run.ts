import type { runProgram } from "../../run-program.ts";

/** How this driver starts programs; in tests they enter a namespace that stands for the node. */
export type RunProgram = typeof runProgram;
