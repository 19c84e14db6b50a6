import { SkerryError } from "@skerry/model";

/** The server's URL without a path. @throws SkerryError invalid-request for anything but https */
export function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url?.protocol === "https:" &&
    (url.pathname === "/" || url.pathname === "") &&
    url.search === "" &&
    url.username === ""
  )
    return url;
  throw new SkerryError("invalid-request", `${JSON.stringify(text.slice(0, 200))} is not a server's address.`, {
    remedy: "Give it as https://HOST:PORT.",
  });
}

/** Host and port for `tls.connect`; IPv6 addresses without their brackets. */
export function hostAndPort(url: URL): { readonly host: string; readonly port: number } {
  return { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port: url.port === "" ? 443 : Number(url.port) };
}
