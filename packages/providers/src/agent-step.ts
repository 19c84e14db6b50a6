import { createReadStream } from "node:fs";
import type { AgentRelease, ArtifactFile } from "./agent-artifacts.ts";
import { agentUnit, guardUnit } from "./agent-unit.ts";
import type { StepReport } from "./provisioning.ts";
import { asRoot, requireScript, runScript, scriptFailure, scriptText } from "./remote-script.ts";
import type { SshConnection } from "./ssh-connection.ts";

const quickMs = 60_000;
/** Unpacking, verifying and fsync on a slow disk. */
const installMs = 300_000;

/**
 * Brings a release to the host and makes it the current one. What an earlier, cut attempt has brought is not sent again,
 * and a release that is there is not sent at all.
 */
export async function installAgent(
  connection: SshConnection,
  release: AgentRelease,
  config: string,
  report: StepReport,
  signal: AbortSignal,
): Promise<void> {
  const total = release.files.reduce((sum, file) => sum + file.compressedBytes, 0);
  // Damaged bytes in a partial file show only in the digest of the whole; then everything is sent anew, once.
  for (let attempt = 0; ; attempt++) {
    const offsets = await readOffsets(connection, release, signal);
    let done = release.files.reduce(
      (sum, file) => sum + Math.min(offsets.get(file.name) ?? 0, file.compressedBytes),
      0,
    );
    for (const file of release.files) {
      const offset = offsets.get(file.name) ?? 0;
      if (offset >= file.compressedBytes) continue;
      const before = done;
      await send(
        connection,
        file,
        offset,
        (sent) => report(`copying ${file.name}`, (done = before + sent), total),
        signal,
      );
    }
    report("verifying and unpacking", total, total);
    const args = [
      release.digest,
      agentUnit,
      config,
      guardUnit,
      scriptText("lease-guard"),
      ...release.files.flatMap(installWords),
    ];
    const answer = await runScript(connection, "install", { args, root: true, timeoutMs: installMs }, signal);
    if (answer.exitCode === 0) {
      report(`release ${release.digest.slice(0, 12)} with Node ${release.nodeVersion} is in place`, total, total);
      return;
    }
    if (attempt > 0 || !answer.values.has("corrupt")) throw scriptFailure(connection, "install", answer);
    report("what was copied is damaged: copying it again", 0, total);
  }
}

/** Bytes of each file that need not be sent; a file that is there, or in another release, counts as whole. */
async function readOffsets(
  connection: SshConnection,
  release: AgentRelease,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const args = [release.digest, ...release.files.flatMap((file) => [file.name, file.sha256, file.compressedSha256])];
  const answer = await requireScript(connection, "offsets", { args, root: true, timeoutMs: quickMs }, signal);
  const whole = Number.POSITIVE_INFINITY;
  if (answer.values.has("installed")) return new Map(release.files.map((file) => [file.name, whole]));
  const offsets = new Map<string, number>();
  for (const [key, value] of answer.all) {
    const [name = "", bytes] = value.split(" ");
    if (key === "have") offsets.set(name, whole);
    if (key === "offset" && /^\d{1,12}$/.test(bytes ?? "")) offsets.set(name, Number(bytes));
  }
  return offsets;
}

/** Sends a file from `offset` on; `onSent` counts what the connection took. */
async function send(
  connection: SshConnection,
  file: ArtifactFile,
  offset: number,
  onSent: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  async function* content(): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for await (const chunk of createReadStream(file.compressedPath, {
      start: offset,
      highWaterMark: 256 * 1024,
    }) as AsyncIterable<Buffer>) {
      yield chunk;
      sent += chunk.length;
      onSent(sent);
    }
  }
  const shell = ["/bin/sh", "-c", scriptText("receive"), "skerry", file.compressedSha256, String(offset)];
  const [program = "/bin/sh", ...rest] = [...asRoot(connection.target.user), ...shell];
  const result = await connection.exec([program, ...rest], { input: content() }, signal);
  if (result.exitCode === 0) return;
  throw scriptFailure(connection, "receive", {
    exitCode: result.exitCode,
    values: new Map([["full", "/opt"]]),
    all: [],
    complaint: result.stderr.trim().slice(-500),
  });
}

function installWords(file: ArtifactFile): readonly string[] {
  return [file.name, file.sha256, file.compressedSha256, file.name === "node" ? "0755" : "0644"];
}
