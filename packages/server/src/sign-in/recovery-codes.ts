import { randomBytes } from "node:crypto";
import { hashSecret, secretMatches } from "../authorisation/secret.ts";
import { toBase32 } from "./totp.ts";

const codes = 10;
/** 80 random bits: nobody guesses them, so that a plain hash is enough. */
const codeBytes = 10;

export interface RecoveryCodes {
  /** Shown once, each as four groups of four. */
  readonly codes: readonly string[];
  readonly hashes: string[];
}

export function makeRecoveryCodes(): RecoveryCodes {
  const plain = Array.from({ length: codes }, () => toBase32(randomBytes(codeBytes)));
  return {
    codes: plain.map((code) => code.toLowerCase().replaceAll(/(.{4})(?=.)/g, "$1-")),
    hashes: plain.map(hashSecret),
  };
}

/** What is left of the hashes without the one of this code; undefined where it is none of them. The same work whatever the code. */
export function withoutCode(hashes: readonly string[], code: string): string[] | undefined {
  const plain = code.toUpperCase().replaceAll(/[\s-]/g, "");
  const left = hashes.filter((hash) => !secretMatches(plain, hash));
  return left.length < hashes.length ? left : undefined;
}
