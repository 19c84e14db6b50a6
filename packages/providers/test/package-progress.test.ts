import assert from "node:assert/strict";
import { test } from "node:test";
import { readAptStatus } from "../src/package-step.ts";

test("apt's download is the first quarter of its progress, and installing the rest", () => {
  assert.deepEqual(readAptStatus("dlstatus:1:50.0:Retrieving file 3 of 6"), {
    percent: 13,
    message: "Retrieving file 3 of 6",
  });
  assert.deepEqual(readAptStatus("pmstatus:qemu-utils:50.0:Unpacking qemu-utils (amd64)"), {
    percent: 63,
    message: "Unpacking qemu-utils (amd64)",
  });
  assert.deepEqual(readAptStatus("pmstatus:dpkg-exec:100.0000:Running dpkg"), {
    percent: 100,
    message: "Running dpkg",
  });
});

test("what is not apt's progress is not shown", () => {
  for (const line of ["", "pmerror:x:50:no", "dlstatus:1:x:y", "pmstatus"])
    assert.equal(readAptStatus(line), undefined);
});
