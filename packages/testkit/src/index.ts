export { startPostgres, type PrivatePostgres } from "./private-postgres.ts";
