import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SkerryError, kindNames, kindOfPlural, kinds, parserOf } from "@skerry/model";

const parseInstance = parserOf(kinds.Instance.input, "instance");
const smallest = { spec: { vcpus: 1, memoryMiB: 96, image: "islet" } };

describe("kinds", () => {
  test("each has a plural and an id prefix of its own", () => {
    assert.equal(new Set(kindNames.map((name) => kinds[name].plural)).size, kindNames.length);
    assert.equal(new Set(kindNames.map((name) => kinds[name].prefix)).size, kindNames.length);
    for (const name of kindNames) assert.equal(kindOfPlural(kinds[name].plural), name);
  });

  test("an unknown field is refused by name instead of ignored", () => {
    assert.throws(
      () => parseInstance({ spec: { ...smallest.spec, memory: 5 } }),
      (error: unknown) =>
        error instanceof SkerryError && error.code === "invalid-request" && error.message.includes("memory"),
    );
  });

  test("every bad field is listed with its path", () => {
    assert.throws(
      () => parseInstance({ spec: { vcpus: 0, memoryMiB: "much", image: "islet" } }),
      (error: unknown) => {
        assert.ok(error instanceof SkerryError);
        assert.deepEqual(error.errors?.map((entry) => entry.path).toSorted(), ["/spec/memoryMiB", "/spec/vcpus"]);
        return true;
      },
    );
  });

  test("names that could become a path, a flag or a shell word are refused", () => {
    for (const name of ["../x", "-rf", "a b", "a;b", "A", "", "x".repeat(64), "a-", "a/b", "a\n"]) {
      assert.throws(() => parseInstance({ metadata: { name }, ...smallest }), SkerryError, JSON.stringify(name));
    }
  });

  test("ssh keys may not carry a second line", () => {
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me";
    parseInstance({ spec: { ...smallest.spec, sshKeys: [key] } });
    assert.throws(
      () => parseInstance({ spec: { ...smallest.spec, sshKeys: [`${key}\nssh-ed25519 AAAA`] } }),
      SkerryError,
    );
  });
});
