import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkout } from "../checkout.ts";

/** What others have paid for, and the test that shows that it is not to be had here. */
export interface SecurityLesson {
  readonly lesson: string;
  /** Where it was paid for. */
  readonly paid: string;
  readonly file: string;
  /** The test's sentence, or what it begins with. */
  readonly test: string;
}

const server = "packages/server/test";

export const securityLessons: readonly SecurityLesson[] = [
  {
    lesson: "nothing answers without proof of identity, but liveness and what takes such proof",
    paid: "CVE-2024-38346",
    file: `${server}/api/authorisation.test.ts`,
    test: "answers 401 without a token, with a made-up one and with an expired one, but for liveness and what asks for other proof",
  },
  {
    lesson: "what no role permits is forbidden",
    paid: "CVE-2026-40213",
    file: `${server}/api/roles.test.ts`,
    test: "answers as its role and place say, and as if nothing were there to whom may not see it",
  },
  {
    lesson: "there is no default password, and the first token is in a private file",
    paid: "CVE-2025-62877",
    file: `${server}/start.test.ts`,
    test: "starts in under a second, keeps what it was told across a restart, and never prints its token",
  },
  {
    lesson: "a lesser admin can't reset a greater one",
    paid: "CVE-2025-47713",
    file: `${server}/authorisation/granting.test.ts`,
    test: "nobody changes or deposes whoever has more than they have",
  },
  {
    lesson: "an ID token that is unsigned, or of somebody or something else, proves nobody",
    paid: "CVE-2024-41107",
    file: `${server}/sign-in/hostile-issuer.test.ts`,
    test: "proves nobody by a token for another, by another, of another time, unsigned, or signed by what anybody knows",
  },
  {
    lesson: "an identity provider sends the server nowhere else",
    paid: "CVE-2022-35508",
    file: `${server}/sign-in/hostile-issuer.test.ts`,
    test: "can't send the server to other services by what it says of itself",
  },
  {
    lesson: "a name at an identity provider makes nobody somebody else",
    paid: "CVE-2026-13208",
    file: `${server}/sign-in/oidc-sign-in.test.ts`,
    test: "knows a person by issuer and subject alone, whatever they are called there by now",
  },
  {
    lesson: "the first administrator sets a password of their own, by a link that works once",
    paid: "CVE-2025-62877",
    file: `${server}/sign-in/local-sign-in.test.ts`,
    test: "makes the first administrator by a link in a private file, once, and it dies then",
  },
  {
    lesson: "nobody gives what they don't have",
    paid: "CVE-2025-47713",
    file: `${server}/authorisation/granting.test.ts`,
    test: "nobody gives a role that permits more than their own, in a binding, a token, a group or a role",
  },
  {
    lesson: "nobody lifts what holds them, or what they may not do themselves",
    paid: "CVE-2025-47713",
    file: `${server}/authorisation/granting.test.ts`,
    test: "nobody lifts what is forbidden to somebody who is held by it, or has not what it forbids",
  },
  {
    lesson: "a lesser admin can't shut a greater one out",
    paid: "CVE-2025-47713",
    file: `${server}/authorisation/granting.test.ts`,
    test: "nobody forbids anything to whoever has more than they have, by a binding, a group or a role",
  },
  {
    lesson: "one request's identity never reaches another",
    paid: "CVE-2025-54955",
    file: `${server}/security/interleaved-users.test.ts`,
    test: "are each answered as who they are and shown what is theirs, however their requests interleave",
  },
  {
    lesson: "who asks is known by the token, whatever a request says besides",
    paid: "CVE-2026-13208",
    file: `${server}/security/outsider.test.ts`,
    test: "sees and changes nothing that is not theirs as its",
  },
  {
    lesson: "a stream ends with the right to it",
    paid: "CVE-2022-3867",
    file: `${server}/authorisation/granting.test.ts`,
    test: "what is taken away is gone at the next request, and ends what streams",
  },
  {
    lesson: "an answer that was given once ends with the right to it, too",
    paid: "CVE-2022-3867",
    file: `${server}/api/repeated-requests.test.ts`,
    test: "is not answered again to whom may not see by now what it made, before a restart or after it",
  },
  {
    lesson: "a byte stream into a guest ends with its token",
    paid: "CVE-2022-3867",
    file: `${server}/gateway/streams.test.ts`,
    test: "a stream ends with the token that opened it",
  },
  {
    lesson: "a quota can't be passed by asking often at once",
    paid: "CVE-2025-69233",
    file: `${server}/api/quotas.test.ts`,
    test: "are reached exactly by 200 creates at once and never passed, of two projects and of their organisation",
  },
  {
    lesson: "an image that names another file is refused at upload",
    paid: "CVE-2024-32498, CVE-2024-50386",
    file: `${server}/api/events.test.ts`,
    test: "that names another file of the host, as qcow2 can, is refused and leaves nothing",
  },
  {
    lesson: "an image whose digest is another is thrown away",
    paid: "CVE-2026-33542",
    file: "packages/agent/test/image-cache.test.ts",
    test: "an image with another digest is dropped, and one that is longer than said is stopped",
  },
  {
    lesson: "nothing that a tenant wrote becomes libvirt's XML",
    paid: "CVE-2025-12748",
    file: "packages/agent/test/libvirt-domain.test.ts",
    test: "holds nothing hostile: what does not fit a pattern is refused before there is any XML",
  },
  {
    lesson: "nothing that comes from elsewhere leaves its folder as a file's name",
    paid: "CVE-2026-25077, CVE-2026-48749",
    file: "packages/agent/test/hostile-paths.test.ts",
    test: "no name that comes from elsewhere leaves its folder: of a disk, an image, a seed or a lease",
  },
  {
    lesson: "a backup with one byte changed is not restored",
    paid: "CVE-2026-48751",
    file: "packages/cli/test/backup.test.ts",
    test: "is refused by its name where a byte of any file is not what it was, or a file is gone",
  },
  {
    lesson: "bodies that are too large, too deep or reach for prototypes are refused",
    paid: "CVE-2026-40251",
    file: `${server}/api/edges.test.ts`,
    test: "bodies that are no JSON, too deep, too large, of another type or reach for prototypes",
  },
];

/** Lessons whose test is not where it is said to be. */
export function missingLessons(lessons = securityLessons): readonly SecurityLesson[] {
  return lessons.filter(({ file, test }) => !readFileSync(join(checkout, file), "utf8").includes(test));
}
