import assert from "node:assert/strict";
import { test } from "node:test";
import { Words } from "../../src/table/words.ts";

test("a word has its number for as long as somebody has it, and then makes room for another", () => {
  const words = new Words();
  const one = words.hold("one");
  assert.equal(words.hold("one"), one);
  words.release(one);
  assert.deepEqual([words.word(one), words.find("one")], ["one", one]);
  words.release(one);
  assert.equal(words.find("one"), undefined);
  for (let count = 0; count < 1000; count++) {
    const number = words.hold(`word ${count}`);
    assert.equal(number, one, "no number is used up");
    words.release(number);
  }
  assert.deepEqual([words.hold(""), words.word(0), words.find("")], [0, "", 0]);
});
