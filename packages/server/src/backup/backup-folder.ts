import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { copyFile, mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { SkerryError } from "@skerry/model";
import { readBackup, type BackupContent } from "@skerry/store";
import { syncDirectory } from "../secrets/private-file.ts";

/*
 * A backup is a folder: state.jsonl, what the server downloads of itself; keys/, without which sealed secrets and nodes'
 * certificates mean nothing, with the administrator's token; images/, by digest; SHA256SUMS of the keys, as sha256sum(1) writes it. Only its owner may enter.
 */
const stateFile = "state.jsonl";
const keysFolder = "keys";
const imagesFolder = "images";
const sumsFile = "SHA256SUMS";
/** What of a data directory is secret and can't be made again. */
const keyFiles = ["sealing.key", "pki"] as const;
/** Kept where it is there: another replica may have made it, and backups of before have none. */
const tokenFile = "admin.token";
const secretFiles = [...keyFiles, tokenFile] as const;

export interface BackupSources {
  /** The state, as the server gives it. */
  readonly state: AsyncIterable<Uint8Array>;
  readonly dataDir: string;
  /** Where images are where they are not in the data directory. */
  readonly imagesDir?: string | undefined;
}

export interface BackupSummary {
  readonly objects: number;
  readonly images: number;
  readonly revision: number;
  readonly createdAt: string;
  readonly zoneId: string;
}

/**
 * Writes a backup into a folder that does not exist yet; it appears under its name once it is whole and was read back.
 * @throws SkerryError already-exists, storage-full, digest-mismatch; unavailable where the data directory can't be read
 */
export async function writeBackupFolder(folder: string, sources: BackupSources): Promise<BackupSummary> {
  await refuseExisting(folder);
  const draft = `${folder}.partial`;
  await rm(draft, { recursive: true, force: true });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(draft, { recursive: true, force: true }));
  await mkdir(join(draft, keysFolder), { recursive: true, mode: 0o700 });
  await mkdir(join(draft, imagesFolder), { mode: 0o700 });
  // Keys first: what is sealed later than they were copied is sealed by them too.
  const sums: string[] = [];
  for (const path of await filesBelow(sources.dataDir, secretFiles)) {
    const target = join(draft, keysFolder, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await copyDurably(join(sources.dataDir, path), target);
    sums.push(`${await sha256Of(target)}  ${keysFolder}/${path}\n`);
  }
  await writeDurably(join(draft, sumsFile), [Buffer.from(sums.join(""))]);
  await writeDurably(join(draft, stateFile), sources.state);
  const { objects } = await readState(draft);
  const imagesDir = sources.imagesDir ?? join(sources.dataDir, imagesFolder);
  for (const name of imagesOf(objects)) {
    await copyDurably(join(imagesDir, name), join(draft, imagesFolder, name)).catch((error: unknown) => {
      throw isMissing(error) ? imageGone(imagesDir, name, error) : error;
    });
  }
  const summary = summaryOf(await readBackupFolder(draft));
  await rename(draft, folder);
  await syncDirectory(dirname(folder));
  return summary;
}

/** Reads a backup and checks every byte of it. @throws SkerryError digest-mismatch that names what is damaged */
export async function readBackupFolder(folder: string): Promise<BackupContent> {
  const content = await readState(folder);
  const sums = await readFile(join(folder, sumsFile), "utf8").catch((error: unknown) => {
    throw damaged(sumsFile, error);
  });
  const listed = new Map(
    sums.split("\n").flatMap((line) => (line === "" ? [] : [[line.slice(66), line.slice(0, 64)] as const])),
  );
  for (const name of keyFiles) {
    if (![...listed.keys()].some((path) => path.startsWith(`${keysFolder}/${name}`)))
      throw damaged(`${keysFolder}/${name}`);
  }
  for (const [path, sum] of listed) await checkFile(folder, path, sum);
  for (const name of imagesOf(content.objects))
    await checkFile(folder, `${imagesFolder}/${name}`, name.slice("sha256-".length));
  return content;
}

export function summaryOf({ head, revision, objects }: BackupContent): BackupSummary {
  const images = imagesOf(objects).length;
  return { objects: objects.length, images, revision, createdAt: head.createdAt, zoneId: head.zoneId };
}

/** Copies keys and images of a backup that was read into a data directory that has none. */
export async function restoreFiles(
  folder: string,
  content: BackupContent,
  dataDir: string,
  imagesDir: string,
): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  for (const name of secretFiles) await refuseExisting(join(dataDir, name));
  await mkdir(imagesDir, { recursive: true, mode: 0o700 });
  for (const name of imagesOf(content.objects))
    await copyDurably(join(folder, imagesFolder, name), join(imagesDir, name));
  for (const path of await filesBelow(join(folder, keysFolder), secretFiles)) {
    await mkdir(dirname(join(dataDir, path)), { recursive: true, mode: 0o700 });
    await copyDurably(join(folder, keysFolder, path), join(dataDir, path));
  }
}

async function readState(folder: string): Promise<BackupContent> {
  const input = createReadStream(join(folder, stateFile));
  try {
    return await readBackup(createInterface({ input, crlfDelay: Infinity }));
  } catch (error) {
    throw isMissing(error) ? damaged(stateFile, error) : error;
  }
}

/** Files' names of the images whose content there is; those that were declared and never uploaded have none. */
function imagesOf(objects: BackupContent["objects"]): readonly string[] {
  const names = objects.flatMap((object) =>
    object.kind === "Image" && object.status.state === "ready" ? [object.spec.digest.replace(":", "-")] : [],
  );
  return [...new Set(names)];
}

async function filesBelow(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw new SkerryError("unavailable", `The directory ${folder} can't be read: ${(error as Error).message}.`, {
      remedy: "Run this where the server runs, as its user, and name its --data-dir.",
      cause: error,
    });
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => names.some((name) => path === name || path.startsWith(`${name}/`)))
    .toSorted();
}

async function checkFile(folder: string, path: string, sum: string): Promise<void> {
  const seen = await sha256Of(join(folder, path)).catch((error: unknown) => {
    throw damaged(path, error);
  });
  if (seen !== sum) throw damaged(path);
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  const file = await open(to, "r+");
  try {
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeDurably(path: string, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    for await (const chunk of content) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function refuseExisting(path: string): Promise<void> {
  const parent = await readdir(dirname(path)).catch(() => []);
  if (!parent.some((name) => join(dirname(path), name) === path)) return;
  throw new SkerryError("already-exists", `There is ${path} already.`, {
    remedy: "Name a path that is not there yet; nothing was changed.",
  });
}

function damaged(path: string, cause?: unknown): SkerryError {
  return new SkerryError("digest-mismatch", `The backup's ${path} is ${isMissing(cause) ? "missing" : "damaged"}.`, {
    remedy: "Use another copy of it, or an earlier backup.",
    cause,
  });
}

function imageGone(imagesDir: string, name: string, cause: unknown): SkerryError {
  return new SkerryError("unavailable", `The image ${name} is not in ${imagesDir}.`, {
    remedy: "It may have been deleted just now: make the backup again. Else name the replicas' --images-dir.",
    cause,
  });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
