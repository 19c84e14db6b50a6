import assert from "node:assert/strict";
import type { OperationResource } from "@skerry/model";
import type { Store } from "@skerry/store";
import type { OperationKind } from "../../src/operations/operation-kind.ts";
import { isOver } from "../../src/operations/transitions.ts";
import { empty } from "../fakes/scratch-store.ts";
import { checkNothingLeaks } from "./leaks.ts";
import { ModelFleet } from "./model-fleet.ts";
import { momentsOf, nameOf, placeOf, submissionOf, type Moment } from "./operation-moments.ts";
import { prepare, type Scenario } from "./operation-scenarios.ts";
import { act } from "./zone-fixture.ts";

/**
 * What dies: the server's process, a node's agent (guests live on), or a node's host. The node is the one that has the subject
 * when the operation is asked for, or the other one that it works with.
 */
export type Victim =
  | { readonly kind: "server" }
  | {
      readonly kind: "agent" | "host";
      readonly node: "owner" | "other";
      readonly away: "for a moment" | "until it is over";
    };

/** When it dies: the nth time, from 0, that things of this name happen. */
export interface Kill {
  readonly name: string;
  readonly nth: number;
  readonly victim: Victim;
}

/** What else happens to the operation: nothing, a cancel while it is at a step, or the fault that its scenario knows. */
export type Trouble = { readonly kind: "none" | "fault" } | { readonly kind: "cancel"; readonly step: string };

export interface Play {
  readonly operation: OperationResource;
  /** Everything at which something could have died, in order; one thing can be several moments. */
  readonly moments: readonly (readonly Moment[])[];
  /** Whether the moment of the kill came. */
  readonly killed: boolean;
  /** How long the operation took, in the zone's own time. */
  readonly tookMs: number;
}

const tickMs = 60_000;
/** Four hours. */
const mostTicks = 240;
const awayMs = 40_000;

/** One operation from its submission until nothing follows from it any more, with at most one death. Checks that nothing leaks. */
export async function playOperation(
  store: Store,
  kind: OperationKind,
  scenario: Scenario,
  trouble: Trouble,
  kill?: Kill,
  due?: OperationResource["status"]["state"],
): Promise<Play> {
  await empty(store);
  const fleet = new ModelFleet(store);
  const moments: Moment[][] = [];
  let passed = 0;
  let id: string | undefined;
  const current = () => (id === undefined ? undefined : store.getById("Operation", id));
  /** Something happens; returns whether the server has to die of it. */
  const happens = (now: readonly Moment[]): boolean => {
    if (now.length === 0) return false;
    moments.push([...now]);
    if (kill === undefined || nameOfAll(now) !== kill.name || passed++ !== kill.nth) return false;
    if (kill.victim.kind === "server") return true;
    strike(fleet, scenario, kill.victim);
    return false;
  };
  const inside = () => {
    const place = placeOf(current(), kind);
    if (place !== undefined && happens([{ ...place, point: "inside" }])) fleet.killServer();
  };
  const cancelWhereDue = (now: readonly Moment[]) => {
    if (trouble.kind === "cancel" && now.some(({ step, point }) => point === "recorded" && step === trouble.step))
      queueMicrotask(() => void cancel(fleet, current()));
  };
  let asked = false;
  // Before any server listens, so that one that dies of it has not begun yet.
  const stop = store.subscribe((events) => {
    for (const { object, type } of events) {
      if (!asked || object.kind !== "Operation" || object.spec.type !== kind.type || type !== "created") continue;
      id ??= object.metadata.id;
      const now = submissionOf(object, kind);
      cancelWhereDue(now);
      if (happens(now)) fleet.killServer();
    }
  });
  try {
    await prepare(fleet, scenario, inside);
    asked = true;
    if (trouble.kind === "fault") scenario.fault?.(fleet);
    let before: OperationResource | undefined;
    fleet.watch = (when, written) => {
      if (when === "before") before = current();
      const now = momentsOf(when, before, written, kind);
      cancelWhereDue(now);
      return happens(now);
    };
    ({ id } = (await scenario.ask(fleet)).metadata);
    await fleet.settle();
    const operation = await playOut(fleet, current, inside);
    checkNothingLeaks(fleet);
    if (due !== undefined) assert.equal(operation.status.state, due, "how it ends");
    if (operation.status.state === "succeeded") scenario.check(fleet);
    else if (operation.status.problem?.facts?.["left"] === undefined) scenario.checkBack?.(fleet, operation);
    const tookMs = Date.parse(operation.status.endedAt ?? "") - Date.parse(operation.metadata.createdAt);
    return { operation, moments, killed: kill !== undefined && passed > kill.nth, tookMs };
  } catch (error) {
    const state = JSON.stringify(current()?.status, null, 1);
    const { message } = error as Error;
    throw new Error(`${describePlay(kind, trouble, kill)}: ${message}\n${state}`, { cause: error });
  } finally {
    stop();
    fleet.killServer();
  }
}

export function nameOfAll(moments: readonly Moment[]): string {
  return moments.map(nameOf).join(" = ");
}

export function describePlay(kind: OperationKind, trouble: Trouble, kill?: Kill): string {
  const cancelled = trouble.kind === "cancel" ? ` cancelled in ${trouble.step}` : "";
  const also = trouble.kind === "fault" ? " with a fault" : cancelled;
  if (kill === undefined) return `${kind.type}${also}`;
  const { victim, name, nth } = kill;
  const who = victim.kind === "server" ? "the server" : `the ${victim.node}'s ${victim.kind}, away ${victim.away},`;
  return `${kind.type}${also}, ${who} killed at ${name} #${nth}`;
}

function strike(fleet: ModelFleet, scenario: Scenario, victim: Exclude<Victim, { kind: "server" }>): void {
  const owner = scenario.ownerOf(fleet);
  const node = victim.node === "owner" ? owner : fleet.nodes.find((candidate) => candidate !== owner);
  if (node === undefined) return;
  if (victim.kind === "host") node.reboot();
  const wasLinked = node.linked;
  node.alive = false;
  node.linked = false;
  // Not within the transaction that may be under way.
  setImmediate(() => {
    if (wasLinked && fleet.serverIsUp) void fleet.controllers.delegate.disconnected(node.id);
  });
  if (victim.away === "for a moment") fleet.clock.setTimer(awayMs, () => (node.alive = true));
}

async function cancel(fleet: ModelFleet, operation: OperationResource | undefined): Promise<void> {
  if (!fleet.serverIsUp || operation === undefined) return;
  const { intents } = fleet.controllers;
  await fleet.store
    .transact((tx) => act(tx, intents, operation, "cancel", {}, fleet.clock.nowMs()))
    // Too late is an answer too.
    .catch((error: unknown) => assert.equal((error as { code?: string }).code, "conflict"));
}

/** Nodes and server work, the dead come back, until the operation is over; then until nothing changes any more. */
async function playOut(
  fleet: ModelFleet,
  current: () => OperationResource | undefined,
  inside: () => void,
): Promise<OperationResource> {
  for (let ticks = 0; ticks < mostTicks; ticks++) {
    if (!fleet.serverIsUp) {
      fleet.killServer();
      await fleet.startServer();
    }
    const operation = current();
    if (operation !== undefined && isOver(operation.status.state)) {
      for (const node of fleet.nodes) Object.assign(node, { alive: true, sick: false });
      await fleet.calm();
      if (fleet.serverIsUp) return operation;
      continue;
    }
    for (let changed = true; changed && fleet.serverIsUp;) changed = await workOnce(fleet, inside);
    if (fleet.serverIsUp) await fleet.tick(tickMs);
  }
  throw new Error("the operation never ends");
}

/** Every node takes its wish and follows it, and each thing that it does is a moment. Returns whether anything happened. */
async function workOnce(fleet: ModelFleet, inside: () => void): Promise<boolean> {
  let changed = false;
  for (const node of fleet.nodes) {
    await fleet.link(node);
    if (fleet.deliver(node)) {
      changed = true;
      inside();
    }
    while (node.act()) {
      changed = true;
      inside();
    }
    checkOneRuns(fleet);
    const { revision } = fleet.store;
    await fleet.report(node);
    changed ||= fleet.store.revision !== revision;
  }
  return changed;
}

function checkOneRuns(fleet: ModelFleet): void {
  const running = fleet.nodes.filter((node) => node.runs).map(({ name }) => name);
  assert.ok(running.length <= 1, `the instance runs on ${running.join(" and ")}`);
}
