import { sealedMark, type KindName, type ResourceOf } from "@skerry/model";
import type { Key } from "@skerry/store";
import { secretAgeOf, secretPointerOf } from "../secrets/secret-age.ts";
import type { RecordedChange, RecordedMutation } from "./recorded-mutation.ts";

/* What of each kind can be taken back, and what not and why. A kind without an answer does not compile; its actions are held to by a test. */

/** Why something can't be taken back, as the end of a sentence, and what to do instead. */
export interface Refusal {
  readonly why: string;
  readonly remedy: (key: Key) => string;
}

export interface Never {
  readonly way: "never";
  readonly refusal: Refusal;
}

/** Taken back by what it says, unless it can't be in this case. */
export interface Possible<K extends KindName> {
  readonly way: "delete" | "restore" | "make again" | "move back";
  readonly unless?: (change: RecordedChange<K>, all: RecordedMutation) => Refusal | undefined;
  /** When, in words; where there is an `unless`. */
  readonly but?: string;
  /** Of what is restored: fields that can't be, by JSON pointer. */
  readonly fixed?: (change: RecordedChange<K>, all: RecordedMutation) => ReadonlyMap<string, Refusal>;
  /** What is destroyed by taking it back, and where it is there. */
  readonly destroys?: string;
  readonly holds?: (now: ResourceOf<K>) => boolean;
  /** What is not as it was. */
  readonly note?: string;
}

export type Answer<K extends KindName> = Never | Possible<K>;

/** Of an action whose work is an operation alone: its type. */
export type ActionAnswer<K extends KindName> = Answer<K> & { readonly operation?: string };

export interface UndoRules<K extends KindName> {
  readonly create: Answer<K>;
  readonly update: Answer<K>;
  readonly delete: Answer<K>;
  /** Each of the kind's actions, `upload` of content, and `credentials`, of those who set their own. */
  readonly actions: Readonly<Record<string, ActionAnswer<K>>>;
}

function never(why: string, remedy: (name: string) => string): Never {
  return { way: "never", refusal: refusal(why, remedy) };
}

function refusal(why: string, remedy: (name: string) => string): Refusal {
  const words = ({ project, name }: Key): string => (project === undefined ? name : `${name} --project ${project}`);
  return { why, remedy: (key) => remedy(words(key)) };
}

const deleting = { way: "delete" } as const;
const restoring = { way: "restore" } as const;
/** Of what empties nodes. */
const lifting = { ...restoring, note: "The cordon goes; what has been moved away stays where it is now." } as const;
const anew = { way: "make again", note: "It has a new id." } as const;

/** Of what lives in the store alone. */
const plain = { create: deleting, update: restoring, delete: anew, actions: {} } as const;

const record = never("the control plane alone writes it", () => "See what it tells: skerry audit list");

const rebooted = refusal(
  "a guest that was rebooted is not as it was before",
  (name) => `See how it is: skerry instance show ${name}`,
);
const grown = refusal(
  "a disk only grows",
  (name) =>
    `Leave the disk as it is, and take back the rest: add --partial. To shrink it, make a new instance beside ${name}.`,
);
const keyGone = refusal(
  "the private key was not kept: the audit log never has it",
  () => "Give it again, in a file with all of the provider's spec.ssh: skerry apply -f FILE",
);

const secretGone = refusal(
  "the client's secret was not kept: the audit log never has it",
  () => "Give it again, in a file with the identity provider's spec.clientSecret: skerry apply -f FILE",
);

function token(word: string): Never {
  return never(
    "its secret was shown once, and is known to nobody but who has it",
    () => `Make another: skerry ${word} create NAME`,
  );
}

const undoRules: { readonly [K in KindName]: UndoRules<K> } = {
  Organisation: plain,
  Project: {
    ...plain,
    delete: {
      ...anew,
      note: "It has a new id; what it used before is reported as another project's of the same name.",
    },
  },
  Provider: {
    ...plain,
    update: {
      ...restoring,
      unless: ({ before, after }) =>
        before?.spec.ssh !== undefined && after?.spec.ssh === undefined ? keyGone : undefined,
      fixed: ({ before, after }) => fixedSecret(before, after, keyGone),
      but: "not where its private key was taken away or replaced: the log never has keys",
    },
    delete: {
      ...anew,
      unless: ({ before }) => (before?.spec.ssh?.privateKey === sealedMark ? keyGone : undefined),
      but: "not where it had a private key: the log never has keys",
    },
    actions: { evacuate: lifting },
  },
  Site: { ...plain, actions: { evacuate: lifting } },
  Node: {
    create: {
      ...deleting,
      destroys: "what makes its host a node of this zone",
      holds: ({ status }) => status.publicKey !== undefined,
    },
    update: restoring,
    delete: {
      ...anew,
      unless: ({ before }) =>
        before?.status.publicKey === undefined
          ? undefined
          : refusal(
              "the zone has forgotten the key by which its agent was known",
              (name) =>
                `Let the host join again: skerry node provision ${name}, or skerry join-token create ${name} --site SITE --node ${name}`,
            ),
      but: "not where its agent had joined: the zone has forgotten its key",
    },
    actions: {
      drain: lifting,
      provision: {
        ...never(
          "what was installed on its host stays there",
          (name) => `Take it out of the zone: skerry node delete ${name}`,
        ),
        operation: "node.provision",
      },
    },
  },
  Image: {
    create: { ...deleting, destroys: "its content", holds: ({ status }) => status.state === "ready" },
    update: restoring,
    delete: {
      ...anew,
      unless: ({ before }) =>
        before?.status.state === "ready"
          ? refusal("its content is gone", (name) => `Upload it again: skerry image create ${name} --file FILE`)
          : undefined,
      but: "not where content had been uploaded: it is gone",
    },
    actions: {
      upload: never(
        "content that was verified stays until its image goes",
        (name) => `Delete the image, where nothing needs it: skerry image delete ${name}`,
      ),
    },
  },
  Volume: {
    create: never("a volume is made with its instance", () => "Take back the creation of the instance."),
    update: restoring,
    delete: never(
      "what was on it is gone",
      () => "Make a new instance, and bring the data back from where you keep a copy.",
    ),
    actions: {},
  },
  Network: plain,
  Instance: {
    create: { ...deleting, destroys: "its disk, with what is on it by now" },
    update: { ...restoring, fixed: fixedOfInstance, but: "not a disk that has grown, and no reboot" },
    delete: never(
      "its disk is gone, with what was on it",
      (name) => `Make a new one: skerry instance create ${name} --image IMAGE`,
    ),
    actions: {
      start: restoring,
      stop: restoring,
      reboot: { way: "never", refusal: rebooted },
      migrate: { way: "move back", operation: "instance.migrate" },
    },
  },
  Operation: {
    create: record,
    update: record,
    delete: record,
    actions: {
      cancel: never(
        "what it took back is not done again by itself",
        () => "Ask for it anew, as it was asked for before.",
      ),
    },
  },
  JoinToken: { ...plain, delete: token("join-token") },
  ApiToken: { ...plain, delete: token("api-token") },
  User: {
    ...plain,
    create: {
      ...deleting,
      destroys: "what its person signs in by",
      holds: ({ status }) => status.credentials !== undefined || status.identity !== undefined,
    },
    delete: {
      ...anew,
      note: "It has a new id, and nothing to sign in by: invite them anew (skerry user invite NAME).",
    },
    actions: {
      invite: never("its link was shown once", (name) => `Make another, which ends it: skerry user invite ${name}`),
      credentials: never(
        "what somebody signs in by is theirs, and in no log",
        (name) => `Have them set it anew: skerry user invite ${name}`,
      ),
      link: never(
        "what they signed in by before is gone, and their sessions ended",
        (name) => `Link them as somebody else: skerry user link ${name} --identity-provider NAME --subject SUBJECT`,
      ),
    },
  },
  Group: plain,
  ServiceAccount: plain,
  Role: plain,
  RoleBinding: plain,
  IdentityProvider: {
    ...plain,
    update: {
      ...restoring,
      unless: ({ before, after }) =>
        before?.spec.clientSecret !== undefined && after?.spec.clientSecret === undefined ? secretGone : undefined,
      fixed: ({ before, after }) => fixedSecret(before, after, secretGone),
      but: "not where its client's secret was taken away or replaced: the log never has secrets; sessions that ended stay ended",
    },
    delete: {
      ...anew,
      unless: ({ before }) => (before?.spec.clientSecret === sealedMark ? secretGone : undefined),
      but: "not where it had a client's secret: the log never has secrets",
    },
  },
  Meter: { create: record, update: record, delete: record, actions: {} },
  DisruptionBudget: plain,
};

/** A secret that was there before and is another one after. */
function fixedSecret(
  before: ResourceOf<KindName> | undefined,
  after: ResourceOf<KindName> | undefined,
  gone: Refusal,
): Map<string, Refusal> {
  const pointer = before === undefined ? undefined : secretPointerOf(before.kind);
  if (before === undefined || after === undefined || pointer === undefined) return new Map();
  const isOther = secretAgeOf(before) !== secretAgeOf(after);
  return new Map(isOther && hasSecret(before) ? [[pointer, gone]] : []);
}

/** Of a recorded object, whose secret is not there itself. */
function hasSecret(object: ResourceOf<KindName>): boolean {
  if (object.kind === "Provider") return object.spec.ssh !== undefined;
  return object.kind === "IdentityProvider" && object.spec.clientSecret !== undefined;
}

function fixedOfInstance(
  { before, after }: RecordedChange<"Instance">,
  { changes }: RecordedMutation,
): Map<string, Refusal> {
  const fixed = new Map<string, Refusal>();
  if (before?.spec.rebootGeneration !== after?.spec.rebootGeneration) fixed.set("/spec/rebootGeneration", rebooted);
  const hasGrown = changes.some(
    (change) =>
      change.before?.kind === "Volume" &&
      change.after?.kind === "Volume" &&
      change.before.spec.sizeMiB < change.after.spec.sizeMiB,
  );
  if (hasGrown) fixed.set("/spec/diskMiB", grown);
  return fixed;
}

/** A kind's rules, for a kind known only at run time. */
export function rulesOf(kind: KindName): UndoRules<KindName> {
  return undoRules[kind] as unknown as UndoRules<KindName>;
}
