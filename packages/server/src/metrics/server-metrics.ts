import type { Counter, Histogram, Metric, Registry } from "prom-client";
import { kindNames } from "@skerry/model";
import type { Store } from "@skerry/store";

/** Seconds: a page takes milliseconds, an upload minutes. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

interface Instruments {
  readonly registry: Registry;
  readonly requests: Counter<"operation" | "status">;
  readonly seconds: Histogram<"operation">;
  readonly links: Counter<"change">;
}

/**
 * What this process has done and is like, in the text form of Prometheus. Names no tenant and no object: whoever reads it learns numbers.
 * The library is loaded once the server serves; what came before is not counted.
 */
export class ServerMetrics {
  readonly #store: Store;
  readonly #leads: () => boolean;
  #instruments: Instruments | undefined;
  #linked = 0;

  constructor(store: Store, leads: () => boolean) {
    this.#store = store;
    this.#leads = leads;
  }

  /** About 0.03 s. */
  async load(): Promise<void> {
    const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = (await import("prom-client")).default;
    if (this.#instruments !== undefined) return;
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const [store, leads, linked] = [this.#store, this.#leads, () => this.#linked];
    const registers: Registry[] = [];
    const gauges = [
      new Gauge({
        ...{ name: "skerry_objects", help: "Objects in the state, by kind.", labelNames: ["kind"], registers },
        collect() {
          for (const kind of kindNames) this.set({ kind }, store.documents.count(kind));
        },
      }),
      new Gauge({
        ...{ name: "skerry_revision", help: "The newest durable revision of the state.", registers },
        collect() {
          this.set(store.revision);
        },
      }),
      new Gauge({
        ...{ name: "skerry_leads", help: "1 where this replica writes the state.", registers },
        collect() {
          this.set(leads() ? 1 : 0);
        },
      }),
      new Gauge({
        ...{ name: "skerry_agents_linked", help: "Agents whose links this process holds.", registers },
        collect() {
          this.set(linked());
        },
      }),
    ];
    const requests = new Counter({
      ...{ name: "skerry_requests_total", help: "Requests that were answered, by operation and status.", registers },
      labelNames: ["operation", "status"],
    });
    const seconds = new Histogram({
      ...{
        name: "skerry_request_duration_seconds",
        help: "From a request's head to the end of its answer.",
        registers,
      },
      ...{ labelNames: ["operation"], buckets },
    });
    const links = new Counter({
      ...{ name: "skerry_agent_link_changes_total", help: "Links of agents that came and went.", registers },
      labelNames: ["change"],
    });
    const metrics = [...gauges, requests, seconds, links] as readonly Metric[];
    for (const metric of metrics) registry.registerMetric(metric);
    this.#instruments = { registry, requests, seconds, links };
  }

  /** @param operation of the route's description; what matched none has "none" */
  answered(operation: string, status: number, elapsedMs: number): void {
    this.#instruments?.requests.inc({ operation, status });
    this.#instruments?.seconds.observe({ operation }, elapsedMs / 1000);
  }

  linked(): void {
    this.#linked += 1;
    this.#instruments?.links.inc({ change: "came" });
  }

  unlinked(): void {
    this.#linked -= 1;
    this.#instruments?.links.inc({ change: "went" });
  }

  /** Where it was not loaded yet, it is now. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    if (this.#instruments === undefined) await this.load();
    const { registry } = this.#instruments ?? {};
    return { contentType: registry?.contentType ?? "text/plain", body: (await registry?.metrics()) ?? "" };
  }
}
