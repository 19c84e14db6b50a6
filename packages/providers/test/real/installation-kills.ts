import assert from "node:assert/strict";
import { installAgent } from "../../src/agent-step.ts";
import { agentUnit, guardUnit } from "../../src/agent-unit.ts";
import { scriptText } from "../../src/remote-script.ts";
import { connectToHost } from "../../src/ssh-handshake.ts";
import { releaseOf } from "./sshd/artifacts.ts";
import { SshdHost } from "./sshd/sshd-host.ts";

const config = '{"nodeName":"edge-1"}\n';
const silent = (): void => undefined;

/** The installation's script, in a shell that kills itself before its command number `at`. */
function killedAt(at: number): string {
  const trap = `set -T; n=0; trap 'n=$((n+1)); [ "$n" != ${at} ] || kill -9 $$' DEBUG`;
  return `${trap}\nmain() {\n${scriptText("install")}\n}\nmain "$@"`;
}

/**
 * Replaces one release by another again and again, killed one command later each time, until it is no longer killed.
 * After each kill what is current must be whole, and the next installation must finish it.
 * @param stride how many commands later @returns how often it was killed
 */
export async function killInstallations(stride: number): Promise<number> {
  const signal = AbortSignal.timeout(240_000);
  const old = await releaseOf("old\n", "/bin/true");
  const next = await releaseOf("next\n", "/bin/true");
  await using host = await SshdHost.start();
  await using connection = await connectToHost(host.target(), "edge-1", signal);
  const current = (): Promise<string> =>
    host.within([
      "sh",
      "-ec",
      "cd /opt/skerry/current/; sha256sum --check --quiet SHA256SUMS; readlink /opt/skerry/current",
    ]);
  const words = next.files.flatMap((file) => [file.name, file.sha256, file.compressedSha256, "0755"]);
  const received = next.files.flatMap((file) => [file.compressedPath, `/opt/skerry/incoming/${file.compressedSha256}`]);
  // The first commands only set the trap.
  for (let at = 4, kills = 0; ; at += stride, kills++) {
    await host.within(["rm", "-rf", "/opt/skerry", "/etc/skerry", "/etc/systemd/system/skerry-agent.service"]);
    await installAgent(connection, old, "{}\n", silent, signal);
    await host.within(["sh", "-ec", 'mkdir /opt/skerry/incoming; cp "$1" "$2"; cp "$3" "$4"', "sh", ...received]);
    const texts = [agentUnit, config, guardUnit, scriptText("lease-guard")];
    const argv = ["bash", "-c", killedAt(at), "bash", next.digest, ...texts, ...words] as const;
    const { exitCode } = await connection.exec(argv, {}, signal);
    assert.match(await current(), new RegExp(`^releases/(${old.digest}|${next.digest})\n$`), `killed at command ${at}`);
    await installAgent(connection, next, config, silent, signal);
    assert.equal(await current(), `releases/${next.digest}\n`, `killed at command ${at}`);
    assert.equal(await host.within(["cat", "/etc/skerry/agent.json"]), config);
    if (exitCode === 0) return kills;
  }
}
