import { relative } from "node:path";
import { inspect, styleText } from "node:util";
import { checkout } from "../checkout.ts";
import type { FileResult } from "./test-file.ts";

/** What a run adds up to, in tests. */
export type Totals = { passed: number; failed: number; skipped: number };

/** A file's line and, where something failed, every failure and the file's output in full. */
export function formatFile(tier: string, result: FileResult): string {
  const { failures, passed, skipped, durationMs } = result;
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  const mark = failures.length > 0 ? styleText("red", "FAIL") : styleText("green", "ok  ");
  const head = `${mark} ${tier.padEnd(7)} ${seconds(durationMs)}  ${relative(checkout, result.file)}  ${counts.join(", ")}`;
  if (failures.length === 0) return head;
  const bodies = failures.map(({ path, error }) => {
    const title = path.length > 0 ? path.join(" > ") : relative(checkout, result.file);
    const text = typeof error === "string" ? error : inspect(error, { colors: process.stdout.hasColors?.() ?? false });
    return `\n  ${styleText("red", title)}\n${indent(text)}`;
  });
  const output = result.output.trim() === "" ? "" : `\n  output of the file:\n${indent(result.output.trimEnd())}\n`;
  return `${head}${bodies.join("\n")}\n${output}`;
}

export function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(2).padStart(7)} s`;
}

export function formatTotals(totals: Totals): string {
  return `${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "    ");
}
