import { SkerryError } from "@skerry/model";
import type { SeenHostKey } from "./host-key.ts";
import type { HostTarget } from "./host-target.ts";

/* How a connection can fail, each with its cause and what to do next. Facts are for programs: they repeat the address. */

function place(target: HostTarget): { readonly address: string; readonly port: number } {
  return { address: target.address, port: target.port };
}

function at(target: HostTarget): string {
  return target.address.includes(":") ? `[${target.address}]:${target.port}` : `${target.address}:${target.port}`;
}

const socketCauses: Readonly<Record<string, readonly [cause: string, remedy: string]>> = {
  ECONNREFUSED: [
    "refuses the connection: nothing listens there",
    "Start the SSH server on the host (systemctl enable --now ssh), or correct the port.",
  ],
  EHOSTUNREACH: [
    "cannot be reached: there is no such host on its network",
    "Check that the host is on, and its address.",
  ],
  ENETUNREACH: [
    "cannot be reached: this machine has no route to its network",
    "Check the address and this machine's routes.",
  ],
  ENOTFOUND: ["cannot be found: its name does not resolve", "Correct the host's name, or give its IP address."],
  EAI_AGAIN: [
    "cannot be found: the name server does not answer",
    "Check this machine's name server, or give the host's IP address.",
  ],
  EACCES: ["cannot be reached: a firewall on the way forbids it", "Allow this machine to reach the host's SSH port."],
};

const noAnswer: readonly [string, string] = [
  "does not answer",
  "Check that the host is on, its address and port, and that no firewall drops the connection.",
];

/** TCP did not come about. */
export function unreachable(target: HostTarget, cause: unknown): SkerryError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "ETIMEDOUT";
  const [what, remedy] = socketCauses[code] ?? noAnswer;
  return new SkerryError("host-unreachable", `The host ${at(target)} ${what}.`, {
    remedy,
    cause,
    facts: { ...place(target), cause: code },
  });
}

/** Something answers, but it does not speak SSH. */
export function notSsh(target: HostTarget, cause: unknown): SkerryError {
  return new SkerryError("host-unreachable", `What answers at ${at(target)} is not an SSH server.`, {
    remedy: "Correct the address or the port.",
    cause,
    facts: { ...place(target), cause: "not-ssh" },
  });
}

/** The host's SSH server and this client have no algorithm in common. */
export function noCommonAlgorithm(target: HostTarget, cause: unknown): SkerryError {
  return new SkerryError(
    "host-unsupported",
    `The SSH server at ${at(target)} offers no modern algorithm: ${wordsOf(cause)}.`,
    {
      remedy: "Update the host's OpenSSH, and give it an ed25519 host key: ssh-keygen -A.",
      cause,
      facts: place(target),
    },
  );
}

export function hostKeyUnknown(target: HostTarget, seen: SeenHostKey, nodeName: string): SkerryError {
  return new SkerryError(
    "host-key-unknown",
    `The host ${at(target)} shows the key ${seen.fingerprint} (${seen.type}), and no key is pinned for it. Nothing was sent to it.`,
    {
      remedy:
        "Compare the fingerprint with what the host itself says (on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), " +
        `then pin it: skerry node provision ${nodeName} --host-key ${seen.fingerprint}`,
      facts: { ...place(target), fingerprint: seen.fingerprint, keyType: seen.type },
    },
  );
}

export function hostKeyMismatch(target: HostTarget, seen: SeenHostKey, pinned: string, nodeName: string): SkerryError {
  return new SkerryError(
    "host-key-mismatch",
    `The host ${at(target)} shows the key ${seen.fingerprint} (${seen.type}), but ${pinned} is pinned. Nothing was sent to it.`,
    {
      remedy:
        "Either another machine answers in its place, or its keys were made anew. If it was reinstalled, compare the new fingerprint " +
        `on its console, then pin it: skerry node provision ${nodeName} --host-key ${seen.fingerprint}`,
      facts: { ...place(target), fingerprint: seen.fingerprint, keyType: seen.type, pinnedFingerprint: pinned },
    },
  );
}

/** @param offered what the server would still accept, as far as it said */
export function refusedUser(
  target: HostTarget,
  keyType: string,
  offered: readonly string[],
  partial: boolean,
  cause: unknown,
): SkerryError {
  const where = `The host ${at(target)}`;
  const facts = { ...place(target), user: target.user, keyType, offered };
  if (partial) {
    return new SkerryError(
      "host-authentication-failed",
      `${where} wants a second factor (${offered.join(", ")}) from the user ${target.user}.`,
      {
        remedy: "Let this user log in with its key alone (AuthenticationMethods publickey).",
        cause,
        facts,
      },
    );
  }
  if (offered.length > 0 && !offered.includes("publickey")) {
    return new SkerryError("host-authentication-failed", `${where} accepts no keys, only: ${offered.join(", ")}.`, {
      remedy: "Set PubkeyAuthentication yes in the host's sshd_config.",
      cause,
      facts,
    });
  }
  return new SkerryError(
    "host-authentication-failed",
    `${where} refuses the user ${target.user} with this ${keyType} key.`,
    {
      remedy:
        `Check the user's name, and that the key's public half is in that user's ~/.ssh/authorized_keys (ssh-copy-id -i KEY.pub ${target.user}@${target.address}). ` +
        "A host does not tell which of the two is wrong; its own log does (journalctl -u ssh).",
      cause,
      facts,
    },
  );
}

export function connectionLost(target: HostTarget, cause: unknown): SkerryError {
  return new SkerryError("host-connection-lost", `The connection to the host ${at(target)} was lost.`, {
    remedy:
      "Run it again: it continues where it stopped. If it happens again, check the network between here and the host.",
    cause,
    facts: place(target),
  });
}

/** The login worked, but the SSH server opens no session for programs. */
export function noCommands(target: HostTarget, cause: unknown): SkerryError {
  return new SkerryError(
    "host-unsupported",
    `The host ${at(target)} lets the user ${target.user} in but runs no commands for it: ${wordsOf(cause)}.`,
    {
      remedy:
        "Remove what restricts this user in the host's sshd_config or authorized_keys (ForceCommand, MaxSessions 0, internal-sftp).",
      cause,
      facts: { ...place(target), user: target.user },
    },
  );
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.slice(0, 200) : "unknown";
}
