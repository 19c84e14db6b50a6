import { get } from "node:http";
import { Duplex } from "node:stream";
import type { Client, ResourceKey } from "@skerry/sdk";

/** One HTTP GET from a guest's port 80, through the control plane and the node's agent. @throws on anything but 200 */
export async function guestGet(client: Client, key: ResourceKey, path: string, signal: AbortSignal): Promise<string> {
  const stream = await client.openPort(key, 80, signal);
  const socket = Duplex.fromWeb({ readable: stream.readable, writable: stream.writable });
  try {
    return await new Promise<string>((resolve, reject) => {
      const request = get(
        { host: key.name, path, signal, createConnection: () => socket, headers: { connection: "close" } },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          response.on("end", () =>
            response.statusCode === 200
              ? resolve(text.trim())
              : reject(new Error(`${path} answered ${response.statusCode ?? "nothing"}`)),
          );
          response.on("error", reject);
        },
      );
      request.on("error", reject);
    });
  } finally {
    socket.destroy();
    stream.close();
  }
}
