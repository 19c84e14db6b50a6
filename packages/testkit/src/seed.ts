import { randomInt } from "node:crypto";
import fc from "fast-check";

/**
 * Where random tests start: SKERRY_TEST_SEED, which `./skerry test` takes from the commit, so that all who test a commit test
 * the same; else another one each time. Properties start there without saying so.
 */
export const seed = Number(process.env["SKERRY_TEST_SEED"] ?? randomInt(2 ** 31));

fc.configureGlobal({ seed });
