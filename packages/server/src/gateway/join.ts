import { isDeepStrictEqual } from "node:util";
import { SkerryError, kinds, parserOf, type JoinTokenResource, type NodeResource } from "@skerry/model";
import {
  JoinRequest,
  joinPath,
  joinPayload,
  parseJoinToken,
  protocolVersion,
  type JoinResponse,
} from "@skerry/protocol";
import type { AuditNote, Store, Transaction } from "@skerry/store";
import { makeDraft } from "../api/draft.ts";
import { secretMatches } from "../authorisation/secret.ts";
import type { IntentContext, IntentTable } from "../intents.ts";
import { timestamp, type Clock } from "../operations/clock.ts";
import type { Authority } from "../pki/authority.ts";
import { isSignedBy } from "../pki/node-key.ts";

export interface JoinDeps {
  readonly store: Store;
  readonly intents: Pick<IntentTable, "Node">;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly makeId: (prefix: string) => string;
}

/** Who brought the request. */
type Peer = Pick<AuditNote, "from" | "forwardedFor">;

const parseRequest = parserOf(JoinRequest, "join request");

/**
 * Enrols the key that an agent made for itself. The token is consumed in the transaction that gives the node its key;
 * the same agent, by the same key, may ask again with it if it did not get the answer.
 * @throws SkerryError join-refused, protocol-mismatch, invalid-request; conflict where the token's labels would break placements
 */
export async function join(deps: JoinDeps, body: unknown, peer: Peer = {}): Promise<JoinResponse> {
  const request = parseRequest(body);
  if (request.protocolVersion !== protocolVersion && request.protocolVersion !== protocolVersion - 1) {
    throw new SkerryError(
      "protocol-mismatch",
      `The agent speaks version ${request.protocolVersion}, this server ${protocolVersion} and the one before.`,
      {
        remedy: "Install the agent of the server's version.",
      },
    );
  }
  const parts = parseJoinToken(request.token);
  if (parts === undefined) throw refused("The join token is not complete.", "Copy it whole: skj1. and three parts.");
  if (parts.authorityFingerprint !== deps.authority.fingerprint) {
    throw refused("The join token is of another control plane.", "Make one at this control plane.");
  }
  if (!isSignedBy(request.publicKey, joinPayload(request.token, request.publicKey), request.signature)) {
    throw refused("The request is not signed by the key that it brings.");
  }
  const name = deps.store.getById("JoinToken", parts.id)?.metadata.name ?? parts.id;
  const note: AuditNote = { actor: { kind: "JoinToken", name, tokenId: parts.id }, ...peer, cause: `POST ${joinPath}` };
  const { result: node } = await deps.store.transact((tx) => {
    const token = findToken(tx, parts.id, parts.secret, deps.clock.nowMs());
    return enrol(deps, tx, token, request);
  }, note);
  const { id, labels } = node.metadata;
  const certificate = await deps.authority.issueNodeCertificate(request.publicKey, id);
  return {
    nodeId: id,
    nodeName: node.metadata.name,
    certificate,
    authority: deps.authority.certificate,
    labels: { ...labels },
  };
}

function findToken(tx: Transaction, id: string, secret: string, nowMs: number): JoinTokenResource {
  const token = tx.getById("JoinToken", id);
  const { secretHash, expiresAt } = token?.status ?? {};
  if (
    token === undefined ||
    secretHash === undefined ||
    expiresAt === undefined ||
    !secretMatches(secret, secretHash)
  ) {
    throw refused("The join token is not valid or was deleted.");
  }
  // Not `<=`: a moment that does not parse must count as over.
  if (!(nowMs < Date.parse(expiresAt))) throw refused(`The join token expired at ${expiresAt}.`);
  return token;
}

function enrol(deps: JoinDeps, tx: Transaction, token: JoinTokenResource, request: JoinRequest): NodeResource {
  const { publicKey } = request;
  const name = token.spec.node ?? request.hostname;
  const known = tx.get("Node", { name });
  if (token.status.usedAt !== undefined) {
    if (known !== undefined && token.status.usedBy === name && known.status.publicKey === publicKey) return known;
    throw refused("The join token has been used.");
  }
  const twin = tx.list("Node").find((node) => node.status.publicKey === publicKey && node.metadata.name !== name);
  if (twin !== undefined)
    throw refused(`The key is that of the node ${twin.metadata.name}.`, "Let each agent make a key of its own.");
  if (known !== undefined) checkKnown(known, token, publicKey);

  const now = deps.clock.nowMs();
  const cause = `join token ${token.metadata.name}`;
  const context: IntentContext = { actor: "system", cause, nowMs: now, makeId: deps.makeId };
  const node = known ?? create(deps, tx, name, token, context);
  tx.put({ ...token, status: { ...token.status, usedAt: timestamp(now), usedBy: name } });
  const joined = tx.put({ ...node, status: { ...node.status, publicKey } });
  return withLabels(deps, tx, joined, token.spec.labels ?? {}, context);
}

/** The token's labels count as anybody's change of the node: what runs there may need those that it has. */
function withLabels(
  deps: JoinDeps,
  tx: Transaction,
  node: NodeResource,
  labels: Readonly<Record<string, string>>,
  context: IntentContext,
): NodeResource {
  const after = { ...node, metadata: { ...node.metadata, labels: { ...node.metadata.labels, ...labels } } };
  if (isDeepStrictEqual(after, node)) return node;
  deps.intents.Node.update(tx, node, after, context);
  return tx.getById("Node", node.metadata.id) ?? after;
}

function checkKnown(node: NodeResource, token: JoinTokenResource, publicKey: string): void {
  const { name } = node.metadata;
  if (node.metadata.deletedAt !== undefined)
    throw refused(`The node ${name} is being deleted.`, "Wait until it is gone.");
  if (node.spec.site !== token.spec.site) {
    throw refused(`The node ${name} stands at the site ${node.spec.site}, and the token is for ${token.spec.site}.`);
  }
  if (node.status.publicKey !== undefined && node.status.publicKey !== publicKey) {
    throw refused(
      `There is a node ${name} already, with another key.`,
      "Give this host another name, or delete the node if the host was set up anew.",
    );
  }
}

function create(
  deps: JoinDeps,
  tx: Transaction,
  name: string,
  token: JoinTokenResource,
  context: IntentContext,
): NodeResource {
  const parts = { spec: { site: token.spec.site }, labels: {}, status: deps.intents.Node.initialStatus };
  const draft = makeDraft("Node", deps.makeId(kinds.Node.prefix), { name }, parts, context.nowMs);
  deps.intents.Node.create(tx, draft, context);
  const node = tx.get("Node", { name });
  if (node === undefined) throw new Error(`the node ${name} was created and is not there`);
  return node;
}

function refused(detail: string, remedy = "Make a new token: skerry join-token create NAME --site SITE"): SkerryError {
  return new SkerryError("join-refused", detail, { remedy });
}
