import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { OrganisationResource } from "@skerry/model";
import type { ChangeEvent } from "../src/index.ts";
import { Overlay } from "../src/overlay.ts";
import { BaseState } from "../src/state.ts";

const id = `org_${"0".repeat(26)}`;

function event(revision: number, type: ChangeEvent["type"], name: string): ChangeEvent {
  const at = new Date(0).toISOString();
  const metadata = { name, id, revision, generation: 1, labels: {}, createdAt: at, updatedAt: at };
  const object: OrganisationResource = { kind: "Organisation", metadata, spec: {}, status: {} };
  return { revision, kind: "Organisation", id, project: undefined, name, type, object, json: JSON.stringify(object) };
}

describe("what is in flight over the durable state", () => {
  test("gives up the name of what was made in it when that is made anew under another", () => {
    const overlay = new Overlay(new BaseState(0));
    overlay.apply(event(1, "created", "ana"));
    overlay.apply(event(1, "created", "ben"));
    assert.equal(overlay.get("Organisation", { name: "ana" }), undefined);
    assert.equal(overlay.get("Organisation", { name: "ben" })?.metadata.id, id);
  });

  test("shows what is durable where it has nothing, and hides what went", () => {
    const base = new BaseState(0);
    base.apply(event(1, "created", "ana"));
    const overlay = new Overlay(base);
    assert.equal(overlay.get("Organisation", { name: "ana" })?.metadata.id, id);
    overlay.apply(event(2, "deleted", "ana"));
    assert.equal(overlay.get("Organisation", { name: "ana" }), undefined);
    overlay.apply(event(3, "created", "ben"));
    assert.equal(overlay.getById("Organisation", id)?.metadata.name, "ben");
    assert.equal(overlay.get("Organisation", { name: "ana" }), undefined);
  });
});
