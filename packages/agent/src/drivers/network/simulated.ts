import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Type, type Static } from "typebox";
import { parserOf } from "@skerry/model";
import { writeDurably } from "../../durable-file.ts";
import type { NetworkDriver } from "../network.ts";
import { checkedId } from "../server-made-id.ts";

const State = Type.Object({
  publicKey: Type.String(),
  networks: Type.Array(Type.Object({ id: Type.String(), bridge: Type.String(), mtu: Type.Integer() })),
});
type State = Static<typeof State>;
const parseState = parserOf(State, "state of the simulated networks", "node-driver-failed");

/** What a guest may send through WireGuard and VXLAN over a WAN of 1500, as the real driver has it. */
const mtu = 1370;

/** Networks that exist only in a file: they carry nothing, and keep the same life as real ones. */
export async function openSimulatedNetworks(folder: string): Promise<NetworkDriver> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "networks.json");
  let state = await load(path);
  let written = Promise.resolve();
  // The state changes at once and is written in order, so that calls that overlap don't lose each other's change.
  const save = (next: State): Promise<void> => {
    state = next;
    written = written.then(() => writeDurably(path, JSON.stringify(next)));
    return written;
  };
  if (state.publicKey === "") await save({ ...state, publicKey: randomBytes(32).toString("base64") });
  return {
    name: "simulated",
    publicKey: async () => state.publicKey,
    ensureOverlay: async () => undefined,
    async ensureNetwork(network) {
      const id = checkedId("net", network.id);
      const found = state.networks.find((each) => each.id === id);
      if (found !== undefined) return found;
      const made = { id, bridge: `sk${id.slice(-12)}`, mtu };
      await save({ ...state, networks: [...state.networks, made] });
      return made;
    },
    list: async () => state.networks,
    async removeNetwork(id) {
      if (state.networks.some((each) => each.id === id)) {
        await save({ ...state, networks: state.networks.filter((each) => each.id !== id) });
      }
    },
  };
}

async function load(path: string): Promise<State> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { publicKey: "", networks: [] };
    throw error;
  }
  return parseState(JSON.parse(text));
}
