import { createHash, randomBytes } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { SkerryError, optional, strict } from "@skerry/model";
import { beginEnrolment, enrol, enrolmentUri, resumeEnrolment, type Begun } from "../sign-in/enrolment.ts";
import { enrolmentPath } from "../sign-in/invitation.ts";
import { peerOf } from "./audit-note.ts";
import type { ApiDeps } from "./deps.ts";
import type { Call, OpenRoute } from "./route.ts";
import { weighed } from "./sign-in-routes.ts";

/*
 * The page that a one-time link opens: made here, without a script, and shown in no frame. Its form is taken only from the browser that
 * was shown it, which has a cookie that nobody else can set or read, and only from this server's own page.
 */

const cookie = "__Host-skerry-enrol";
const formType = "application/x-www-form-urlencoded";
const maxBodyBytes = 16 * 1024;

const style = [
  "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}",
  "label{display:block;margin-top:1rem}input{width:100%;padding:.4rem;font:inherit;box-sizing:border-box}",
  "button{margin-top:1.5rem;padding:.5rem 1.5rem;font:inherit}svg{width:14rem;display:block;background:#fff}",
  "code{overflow-wrap:anywhere}.fault{border-left:4px solid #b00020;padding-left:.8rem}li code{font-size:1.1rem}",
].join("");

const pageHeaders = {
  "content-security-policy": [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; "),
  "cache-control": "no-store",
  // With none at all browsers would not say where the form comes from.
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const Query = strict({ code: optional(Type.String({ description: "of the link" })) });

/** A one-time link's page, for browsers. */
export function enrolmentPageRoutes(deps: ApiDeps): OpenRoute[] {
  const shape = { path: enrolmentPath, tag: "Sign-in", access: "public", maxBodyBytes } as const;
  const replies = { 200: { description: "A page.", contentType: "text/html" } };
  return [
    {
      ...{ ...shape, method: "GET", operationId: "getEnrolmentPage", query: Query, replies },
      summary: "A one-time link's page: sets password and authenticator.",
      handle: ({ query: { code = "" }, request, reply }) =>
        page(reply, async () => {
          const browser = cookieOf(request) ?? randomBytes(32).toString("base64url");
          const begun = await weighed(deps, request.ip, code, () => beginEnrolment(deps, code, browser));
          void reply.header("set-cookie", `${cookie}=${browser}; Path=/; Secure; HttpOnly; SameSite=Strict`);
          return formPage(code, begun);
        }),
    },
    {
      ...{ ...shape, method: "POST", operationId: "postEnrolmentPage", replies },
      summary: "Takes that page's form, from that page alone.",
      body: { contentType: formType, schema: { type: "object" } },
      handle: (call) => page(call.reply, () => submitted(deps, call)),
    },
  ];
}

async function submitted(deps: ApiDeps, { body, request, cause }: Omit<Call, "principal">): Promise<string> {
  const browser = sameSite(request);
  const form = new URLSearchParams(typeof body === "string" ? body : "");
  const field = (name: string): string => form.get(name) ?? "";
  const [code, draft, password] = [field("code"), field("draft"), field("password")];
  return weighed(deps, request.ip, code, async () => {
    try {
      if (password !== field("again")) throw new SkerryError("invalid-request", "The two passwords differ.");
      const chosen = { code, draft, password, totpCode: field("totp"), name: form.get("name") ?? undefined };
      const note = { ...peerOf(request), cause };
      const { name, recoveryCodes } = await enrol(deps, chosen, { browser, note, withSession: false });
      return donePage(name, recoveryCodes);
    } catch (error) {
      if (!(error instanceof SkerryError) || error.code === "unauthenticated") throw error;
      return formPage(code, resumeEnrolment(deps, code, draft, browser), error, field("name"));
    }
  });
}

/** What ties a form to the browser that was shown it. @throws SkerryError forbidden where it comes from elsewhere */
function sameSite(request: FastifyRequest): string {
  const { origin, host, "sec-fetch-site": site = "same-origin" } = request.headers;
  const browser = cookieOf(request);
  if (browser !== undefined && origin === `https://${host}` && site === "same-origin") return browser;
  throw new SkerryError("forbidden", "The form was not sent from this server's own page.", {
    remedy: "Open the link again, in a browser that takes cookies, and send the form that it shows.",
  });
}

function cookieOf({ headers }: FastifyRequest): string | undefined {
  const pairs = (headers.cookie ?? "").split(";").map((pair) => pair.trim().split("="));
  const [, value = ""] = pairs.find(([name]) => name === cookie) ?? [];
  return /^[A-Za-z0-9_-]{43}$/.test(value) ? value : undefined;
}

/** Answers with a page, whatever comes; a defect is told as everywhere. */
async function page(reply: FastifyReply, make: () => Promise<string>): Promise<undefined> {
  let [status, html] = [200, ""];
  try {
    html = await make();
  } catch (error) {
    if (!(error instanceof SkerryError)) throw error;
    status = error.code === "too-many-requests" ? 429 : error.code === "unauthenticated" ? 401 : 403;
    html = whole("This does not work", fault(error));
  }
  await reply.code(status).headers(pageHeaders).type("text/html; charset=utf-8").send(html);
  return undefined;
}

async function formPage(code: string, begun: Begun, error?: SkerryError, chosenName = ""): Promise<string> {
  // Few starts ever need it.
  const { encodeQR } = await import("qr");
  const { name, secret, draft } = begun;
  const uri = enrolmentUri(begun);
  const who =
    name === undefined
      ? `<label>Your name here: lower-case letters, digits and dashes
<input name="name" required autocomplete="username" autocapitalize="none" maxlength="63" value="${escape(chosenName)}"></label>`
      : `<p>For <b>${escape(name)}</b>.</p><input type="hidden" name="username" autocomplete="username" value="${escape(name)}">`;
  const groups = secret.replaceAll(/(.{4})(?=.)/g, "$1 ");
  return whole(
    name === undefined ? "The first administrator" : "Your password and authenticator",
    `${error === undefined ? "" : fault(error)}
<form method="post" action="${enrolmentPath}" autocomplete="off">
<input type="hidden" name="code" value="${escape(code)}"><input type="hidden" name="draft" value="${escape(draft)}">
${who}
<label>Password, at least 12 characters <input name="password" type="password" required minlength="12" maxlength="256" autocomplete="new-password"></label>
<label>The same again <input name="again" type="password" required minlength="12" maxlength="256" autocomplete="new-password"></label>
<p>Read this with an authenticator app, or type its key in: <code>${escape(groups)}</code></p>
${encodeQR(uri, "svg", { ecc: "medium" })}
<label>The six digits that it shows <input name="totp" required inputmode="numeric" pattern="[0-9]{3} ?[0-9]{3}" autocomplete="one-time-code"></label>
<button>Set them</button>
</form>`,
  );
}

function donePage(name: string, codes: readonly string[]): string {
  return whole(
    "Done",
    `<p>Sign in as <b>${escape(name)}</b>: <code>skerry login --user ${escape(name)}</code></p>
<p>Without the authenticator each of these codes lets you in once, with the password. Keep them apart from it; they are not shown again.</p>
<ul>${codes.map((code) => `<li><code>${escape(code)}</code></li>`).join("")}</ul>`,
  );
}

function fault({ message, remedy = "" }: SkerryError): string {
  return `<p class="fault" role="alert"><b>${escape(message)}</b> ${escape(remedy)}</p>`;
}

function whole(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Skerry: ${escape(title)}</title><style>${style}</style></head>
<body><h1>${escape(title)}</h1>
${body}
</body></html>
`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? "");
}
