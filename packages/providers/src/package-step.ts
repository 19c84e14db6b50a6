import { SkerryError } from "@skerry/model";
import { readState } from "./inspection.ts";
import type { StepReport } from "./provisioning.ts";
import { requireScript } from "./remote-script.ts";
import type { SshConnection } from "./ssh-connection.ts";

const quickMs = 60_000;

/**
 * Installs those of the packages that the host lacks, and starts libvirt where it is among them.
 * @param installed what it had when it was last asked
 */
export async function installPackages(
  connection: SshConnection,
  packages: readonly string[],
  installed: ReadonlySet<string>,
  report: StepReport,
  signal: AbortSignal,
): Promise<void> {
  let missing = packages.filter((name) => !installed.has(name));
  if (missing.length > 0) {
    report(`installing ${missing.join(", ")}`, 0, 100);
    const onAnswer = (key: string, value: string): void => {
      const progress = key === "progress" ? readAptStatus(value) : undefined;
      if (progress !== undefined) report(progress.message, progress.percent, 100);
    };
    // One that an earlier, cut attempt had started may have been for other packages.
    for (let attempt = 0; attempt < 2 && missing.length > 0; attempt++) {
      await requireScript(connection, "packages", { args: missing, root: true, onAnswer }, signal);
      const state = await readState(connection, packages, signal);
      missing = packages.filter((name) => !state.installedPackages.has(name));
    }
    if (missing.length > 0) {
      throw new SkerryError(
        "host-command-failed",
        `On the host ${connection.target.address} apt ended well, and yet these packages are missing: ${missing.join(", ")}.`,
        {
          remedy: "See /var/log/apt/term.log on the host.",
        },
      );
    }
  }
  if (packages.includes("libvirt-daemon-system")) {
    report("starting libvirt");
    await requireScript(connection, "libvirt", { root: true, timeoutMs: 2 * quickMs }, signal);
  }
  report(packages.length === 0 ? "no packages needed" : "all packages are there", 100, 100);
}

/**
 * A line of apt's status descriptor, `dlstatus:N:PERCENT:TEXT` while it downloads and `pmstatus:PACKAGE:PERCENT:TEXT` while
 * it installs; both run from 0 to 100, and together they are shown as one run: a quarter for the download.
 */
export function readAptStatus(line: string): { readonly percent: number; readonly message: string } | undefined {
  const match = /^(dlstatus|pmstatus):([^:]*):(\d{1,3}(?:\.\d+)?):(.*)$/.exec(line);
  if (match === null) return undefined;
  const [, kind, , percent = "0", text = ""] = match;
  const part = Math.min(100, Number(percent));
  const message = text.replaceAll(/[^\x20-\x7e]/g, "").slice(0, 120);
  return { percent: Math.round(kind === "dlstatus" ? part / 4 : 25 + part * 0.75), message };
}
