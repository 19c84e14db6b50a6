import { hostname } from "node:os";
import { SkerryError } from "@skerry/model";
import { joinPayload, parseJoinToken, protocolVersion } from "@skerry/protocol";
import {
  certifiedKey,
  ensureKey,
  fingerprintOf,
  publicKeyOf,
  readIdentity,
  signWith,
  writeIdentity,
} from "../identity.ts";
import { checkLink } from "../link/check-link.ts";
import { parseServerUrl } from "../server-address.ts";
import { fetchAuthority } from "./authority.ts";
import { requestJoin } from "./request.ts";

export interface JoinOptions {
  readonly dataFolder: string;
  /** https://HOST:PORT */
  readonly server: string;
  /** `skj1.…`, as the server gave it. */
  readonly token: string;
}

export interface JoinResult {
  readonly nodeId: string;
  readonly nodeName: string;
  /** True where the node was enrolled before and the token was not used. */
  readonly already: boolean;
}

/**
 * Enrols this host as a node. The key is made and fsynced before the token is shown, so that a join that was cut anywhere is
 * repeated with the same key and the same token, which the server takes again from the node that it enrolled with them.
 * @throws SkerryError host-enrolled-elsewhere, join-refused, host-unreachable
 */
export async function joinAgent(options: JoinOptions, signal: AbortSignal): Promise<JoinResult> {
  const { dataFolder } = options;
  const server = parseServerUrl(options.server);
  const token = parseJoinToken(options.token.trim());
  if (token === undefined) {
    throw new SkerryError("invalid-request", "This is not a join token.", {
      remedy: "It starts with skj1. and is given by `skerry join-token create`; copy it whole.",
    });
  }
  const enrolled = await readIdentity(dataFolder);
  if (enrolled !== undefined) {
    if (fingerprintOf(enrolled.authority) !== token.authorityFingerprint) {
      throw new SkerryError(
        "host-enrolled-elsewhere",
        `This host is node ${enrolled.nodeName} of the control plane at ${enrolled.server}.`,
        {
          remedy: `Delete the node there, and then ${dataFolder} here (its guests' disks go with it), and join again.`,
          facts: { server: enrolled.server, nodeId: enrolled.nodeId },
        },
      );
    }
    if ((await checkLink({ ...enrolled, server: server.origin }, signal)) === "welcome") {
      if (enrolled.server !== server.origin)
        await writeIdentity(dataFolder, withoutKeys({ ...enrolled, server: server.origin }));
      return { nodeId: enrolled.nodeId, nodeName: enrolled.nodeName, already: true };
    }
  }
  const key = await ensureKey(dataFolder);
  const publicKey = publicKeyOf(key);
  const authority = await fetchAuthority(server, token.authorityFingerprint, signal);
  const wholeToken = options.token.trim();
  const body = {
    protocolVersion,
    token: wholeToken,
    publicKey,
    signature: signWith(key, joinPayload(wholeToken, publicKey)),
    hostname: nameOfHost(hostname()),
  };
  const response = await requestJoin(server, authority, body, signal);
  if (
    fingerprintOf(response.authority) !== token.authorityFingerprint ||
    certifiedKey(response.certificate) !== publicKey
  ) {
    throw new SkerryError(
      "protocol-mismatch",
      "The server answered the join with certificates that are not this node's.",
    );
  }
  const { nodeId, nodeName, certificate } = response;
  await writeIdentity(dataFolder, {
    server: server.origin,
    nodeId,
    nodeName,
    certificate,
    authority: response.authority,
  });
  return { nodeId, nodeName, already: false };
}

/** The host's name as a resource's name. */
function nameOfHost(name: string): string {
  const cleaned =
    name
      .split(".")[0]
      ?.toLowerCase()
      .replace(/[^a-z0-9-]+/g, "-")
      .replace(/^[^a-z]+|-+$/g, "")
      .slice(0, 63) ?? "";
  return cleaned === "" ? "node" : cleaned.replace(/-+$/, "");
}

function withoutKeys({
  server,
  nodeId,
  nodeName,
  certificate,
  authority,
}: Parameters<typeof writeIdentity>[1]): Parameters<typeof writeIdentity>[1] {
  return { server, nodeId, nodeName, certificate, authority };
}
