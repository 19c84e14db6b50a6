export * from "./client.ts";
export { createClient, type ClientOptions } from "./create-client.ts";
export { createSignInClient, type OwnProof, type SignInClient } from "./sign-in.ts";
export { browserProtocols } from "./byte-stream.ts";
export type { OpenSocket, Socket, SocketEvent } from "./byte-stream.ts";
export type { Fetch, FetchInit } from "./transport.ts";
