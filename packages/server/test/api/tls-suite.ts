import { once } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { after, before } from "node:test";
import { listen, type Listener } from "../../src/api/listener.ts";
import type { Authority } from "../../src/pki/authority.ts";
import { servingOf } from "../../src/replicas/serving.ts";
import { specs, startApi, type ApiHarness } from "./api-harness.ts";

/** An API behind a listener of its own, and how to ask it over TLS. */
export interface TlsApi {
  readonly api: ApiHarness;
  readonly listener: Listener;
  readonly authority: Authority;
  readonly call: (token: string, method: string, path: string, headers?: Record<string, string>) => ClientRequest;
  /** The response to `GET /api/v1/events` with that query. */
  readonly watch: (token: string, query: string, headers?: Record<string, string>) => Promise<IncomingMessage>;
}

/** Gives a suite's tests an API over TLS that has these projects. */
export function useTlsApi(take: (tls: TlsApi) => void, projects: readonly string[]): void {
  let api: ApiHarness;
  let listener: Listener;
  before(async () => {
    let authority: Authority | undefined;
    api = await startApi((base) => {
      ({ authority } = base);
      return {};
    });
    if (authority === undefined) throw new Error("the API was made without an authority");
    const ca = authority.certificate;
    listener = await listen(await authority.serverPair([]), [{ host: "127.0.0.1", port: 0 }]);
    listener.serve(servingOf(api.api.app));
    const port = listener.addresses[0]?.port;
    const call: TlsApi["call"] = (token, method, path, headers = {}) =>
      httpsRequest({
        ...{ host: "127.0.0.1", port, ca, agent: false, method, path },
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
    const watch: TlsApi["watch"] = async (token, query, headers) => {
      const request = call(token, "GET", `/api/v1/events${query}`, headers);
      request.end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      return response;
    };
    for (const project of projects)
      await api.ask(api.admin, "PUT", `/api/v1/projects/${project}`, { spec: specs.Project });
    take({ api, listener, authority, call, watch });
  });
  after(async () => {
    await listener.close(100);
    await api[Symbol.asyncDispose]();
  });
}
