import { after, before, describe } from "node:test";
import { startPostgres, type PrivatePostgres } from "@skerry/testkit";
import { storeContract } from "../../contract/store-contract.ts";
import { postgresBackend } from "./place.ts";

describe("the PostgreSQL store", () => {
  let postgres: PrivatePostgres;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres[Symbol.asyncDispose]());

  storeContract(postgresBackend(() => postgres));
});
