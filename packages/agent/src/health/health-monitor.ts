import { setTimeout as delay } from "node:timers/promises";
import type { HealthCheck } from "@skerry/model";
import type { ObservedInstance } from "@skerry/protocol";

export interface HealthTarget {
  readonly instanceId: string;
  readonly address: string;
  readonly check: HealthCheck;
  /** Of the run that is watched, ms since 1970. */
  readonly startedAtMs: number;
}

export interface HealthMonitorDeps {
  readonly probe: (target: HealthTarget, attemptMs: number, signal: AbortSignal) => Promise<boolean>;
  readonly nowMs: () => number;
  readonly onChange: () => void;
  /** Called at a run's first passed check, where the monitor saw it come. */
  readonly onFirstHealthy: (target: HealthTarget, atMs: number) => void;
}

type Health = ObservedInstance["health"];

interface Watch {
  readonly target: HealthTarget;
  readonly controller: AbortController;
  health: Health;
}

/** Between the first checks of a run, where a boot is waited for. */
const firstMs = 250;
const firstChecks = 120;
const eagerMs = 500;
const calmMs = 5000;
/**
 * A guest that has not served yet gets short attempts: a connection that was begun before it had an address is only tried
 * again by the kernel after a second, and then after two.
 */
const attemptMs = { booting: 1000, served: 3000 };
/** Failures in a row after which a guest that served counts as unhealthy. */
const tolerated = 3;
/** A guest that has not served for this long no longer counts as booting. */
const patienceMs = 120_000;
/** Failures in a row after which it is asked less often. */
const eagerAttempts = patienceMs / eagerMs;
/** A guest that serves at the first look was serving before, unless that look came this soon after its start. */
const promptMs = 1000;

/** Watches the guests that have a health check, each in its own time. */
export class HealthMonitor {
  readonly #deps: HealthMonitorDeps;
  readonly #watches = new Map<string, Watch>();

  constructor(deps: HealthMonitorDeps) {
    this.#deps = deps;
  }

  health(instanceId: string): Health {
    return this.#watches.get(instanceId)?.health ?? "unknown";
  }

  /** Watches these and no others; one whose target is the same is left alone. */
  watch(targets: readonly HealthTarget[]): void {
    const wanted = new Map(targets.map((target) => [target.instanceId, target]));
    for (const [id, { target, controller }] of this.#watches) {
      if (isSameTarget(target, wanted.get(id))) wanted.delete(id);
      else {
        controller.abort();
        this.#watches.delete(id);
      }
    }
    for (const target of wanted.values()) {
      const watch: Watch = { target, controller: new AbortController(), health: "unknown" };
      this.#watches.set(target.instanceId, watch);
      void this.#follow(watch);
    }
  }

  async #follow(watch: Watch): Promise<void> {
    const { target, controller } = watch;
    const { signal } = controller;
    const { probe, nowMs, onFirstHealthy } = this.#deps;
    const beganMs = nowMs();
    let failures = 0;
    let served = false;
    while (!signal.aborted) {
      const passed = await probe(target, served ? attemptMs.served : attemptMs.booting, signal);
      if (signal.aborted) return;
      if (passed && !served) {
        served = true;
        if (failures > 0 || beganMs - target.startedAtMs < promptMs) onFirstHealthy(target, nowMs());
      }
      failures = passed ? 0 : failures + 1;
      const failed = served ? failures >= tolerated : nowMs() - target.startedAtMs > patienceMs;
      if (passed || failed) this.#set(watch, passed ? "healthy" : "unhealthy");
      const pauseMs = passed || failures > eagerAttempts ? calmMs : failures < firstChecks ? firstMs : eagerMs;
      // An abort ends the pause, and the loop with it.
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #set(watch: Watch, health: Health): void {
    if (watch.health === health) return;
    watch.health = health;
    this.#deps.onChange();
  }
}

function isSameTarget(one: HealthTarget, other: HealthTarget | undefined): boolean {
  return (
    other !== undefined &&
    one.address === other.address &&
    Math.abs(one.startedAtMs - other.startedAtMs) < 3000 &&
    one.check.kind === other.check.kind &&
    one.check.port === other.check.port &&
    one.check.path === other.check.path
  );
}
