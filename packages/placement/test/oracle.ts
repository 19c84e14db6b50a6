import { findPlace, modelledRoundTripMs } from "@skerry/placement";
import type { Candidate, PlacementRequest, RefusalReason } from "@skerry/placement";

/** Why a node does not fit, one condition after the other as the request's fields are documented. */
export function failures(asked: PlacementRequest, node: Candidate): RefusalReason[] {
  const { constraints: wish } = asked;
  const failed: RefusalReason[] = [];
  if (asked.excludeNodes?.includes(node.name) === true) failed.push("excluded");
  if (!node.healthy) failed.push("unhealthy");
  if (!node.schedulable) failed.push("unschedulable");
  if (wish.nodes !== undefined && !wish.nodes.includes(node.name)) failed.push("node");
  if (wish.sites !== undefined && !wish.sites.includes(node.site)) failed.push("site");
  if (wish.providers !== undefined && !wish.providers.includes(node.provider)) failed.push("provider");
  if (wish.countries !== undefined && !wish.countries.includes(node.country)) failed.push("country");
  if (wish.jurisdictions !== undefined && !wish.jurisdictions.includes(node.jurisdiction)) failed.push("jurisdiction");
  if (wish.tiers !== undefined && !wish.tiers.includes(node.tier)) failed.push("tier");
  if (wish.minSovereigntyLevel !== undefined && node.sovereigntyLevel < wish.minSovereigntyLevel)
    failed.push("sovereignty");
  if (wish.architecture !== undefined && node.architecture !== wish.architecture) failed.push("architecture");
  for (const key in wish.labels) {
    if (node.labels[key] !== wish.labels[key] && !failed.includes("labels")) failed.push("labels");
  }
  for (const { from, milliseconds } of wish.maxLatency ?? []) {
    const start = typeof from === "string" ? findPlace(from) : from;
    if (start === undefined || modelledRoundTripMs(start, node) > milliseconds) failed.push("latency");
  }
  if (node.used.vcpus + asked.vcpus > node.capacity.vcpus) failed.push("capacity-vcpus");
  if (node.used.memoryMiB + asked.memoryMiB > node.capacity.memoryMiB) failed.push("capacity-memory");
  if (node.used.diskMiB + asked.diskMiB > node.capacity.diskMiB) failed.push("capacity-disk");
  return failed;
}

/** The relative use of what runs out first, in one long expression. */
export function use(asked: PlacementRequest, { used, capacity }: Candidate): number {
  return Math.max(
    (used.vcpus + asked.vcpus) / capacity.vcpus,
    (used.memoryMiB + asked.memoryMiB) / capacity.memoryMiB,
    used.diskMiB + asked.diskMiB === 0 ? 0 : (used.diskMiB + asked.diskMiB) / capacity.diskMiB,
  );
}
