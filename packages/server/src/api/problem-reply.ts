import type { IncomingMessage } from "node:http";
import type { FastifyReply } from "fastify";
import { SkerryError, toProblem, type ErrorCode } from "@skerry/model";
import { rateHeaders } from "../limits/rate-headers.ts";
import type { Log } from "../operations/log.ts";

const lingerMs = 3000;

/** What the framework refuses before a route sees it, by the framework's codes. */
const refusals: Readonly<Record<string, { readonly code: ErrorCode; readonly detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: "too-large", detail: "The body is larger than this route takes." },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: "invalid-request",
    detail: "The body is not as long as Content-Length says.",
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: "invalid-request", detail: "The Content-Type is none that the API takes." },
  FST_ERR_BAD_URL: { code: "invalid-request", detail: "The path is not properly encoded." },
  FST_ERR_ASYNC_CONSTRAINT: { code: "invalid-request", detail: "The request can not be routed." },
};

/** Any thrown thing as an error that may be shown; a defect stays as it is and is shown without its message. */
function asKnown(error: unknown, maxBytes: number | undefined): unknown {
  if (error instanceof SkerryError) return error;
  const refusal = error instanceof Error && "code" in error ? refusals[String(error.code)] : undefined;
  if (refusal === undefined) return error;
  const remedy = refusal.code === "too-large" ? { remedy: `Send at most ${maxBytes} bytes at once.` } : {};
  return new SkerryError(refusal.code, refusal.detail, { ...remedy, cause: error });
}

/** Answers with problem+json; logs defects, which their callers don't see. */
export function sendProblem(reply: FastifyReply, thrown: unknown, log: Log): FastifyReply {
  const error = asKnown(thrown, reply.request.routeOptions.bodyLimit);
  const problem = toProblem(error);
  if (problem.status >= 500) {
    const { method, url } = reply.request;
    const about = { method, path: pathOnly(url), code: problem.code };
    // What may be asked for at any time, and can't be had now, is no defect: nobody fills the log with stacks by asking.
    if (problem.code === "unavailable")
      log.warn({ ...about, detail: problem.detail }, "a request could not be answered");
    else log.error({ ...about, error }, "a request failed");
  }
  const { raw } = reply.request;
  if (!raw.complete) lingerOver(raw);
  if (problem.status === 401) void reply.header("www-authenticate", 'Bearer realm="skerry"');
  if (problem.status === 429 || problem.status === 503) void reply.headers(rateHeaders(problem));
  return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(problem));
}

/**
 * What is left of a body that nobody reads is thrown away for a while, since a client that is still sending could not read
 * the answer of a connection that is cut, and must not hold the connection for longer.
 */
function lingerOver(request: IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), lingerMs).unref();
  request.once("close", () => clearTimeout(timer));
  request.resume();
}

/** A URL without its query, which may hold what a tenant would not want in a log. */
export function pathOnly(url: string): string {
  return url.split("?", 1)[0] ?? "";
}
