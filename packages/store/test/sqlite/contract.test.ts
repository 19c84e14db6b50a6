import { describe } from "node:test";
import { storeContract } from "../contract/store-contract.ts";
import { sqliteBackend } from "./place.ts";

describe("the SQLite store", () => storeContract(sqliteBackend));
