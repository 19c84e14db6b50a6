import type { Guest } from "../../compute.ts";

/** `virDomainState` */
const running = 1;
const blocked = 2;
const paused = 3;
const shuttingDown = 4;
const shutOff = 5;
const crashed = 6;
const suspended = 7;

/** `virDomainShutoffReason` */
const shutOffCrashed = 3;
const shutOffFailed = 6;

/** `virDomainPausedReason`; the others are steps of moves, snapshots and dumps, which are no errors. */
const pausedReasons: Readonly<Record<number, string>> = {
  5: "The guest is paused: the node's disk had an input or output error, or is full.",
  8: "The guest is paused: it crashed.",
  10: "The guest is paused: its watchdog fired.",
};

/**
 * What libvirt's numbers mean here. A paused guest counts as running, with its error: its process is alive and holds its disks.
 */
export function guestState(state: number, reason: number): Pick<Guest, "state" | "error"> {
  switch (state) {
    case running:
    case blocked:
    case suspended:
      return { state: "running" };
    case paused: {
      const error = pausedReasons[reason];
      return error === undefined ? { state: "running" } : { state: "running", error };
    }
    case shuttingDown:
      return { state: "stopping" };
    case crashed:
      return { state: "failed", error: "The guest crashed." };
    case shutOff:
      if (reason === shutOffCrashed) return { state: "failed", error: "The guest's process ended unexpectedly." };
      if (reason === shutOffFailed) return { state: "failed", error: "The guest's process could not be started." };
      return { state: "stopped" };
    default:
      return { state: "stopped" };
  }
}
