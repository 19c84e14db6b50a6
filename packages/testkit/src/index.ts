export { openPath, type CuttablePath } from "./cuttable-path.ts";
export { judge, type Attempt, type LoggedChange, type Read, type Verdict } from "./history.ts";
export { startPostgres, type PostgresOptions, type PrivatePostgres } from "./private-postgres.ts";
export { readLog, startRegisterLoad, type RegisterLoad } from "./register-load.ts";
export { startReplicaSet, type ReplicaProcess, type ReplicaSet } from "./replica-set.ts";
export { mountSmallDisk, type SmallDisk } from "./small-disk.ts";
export { survive } from "./trial.ts";
export { guardRoundMs, overlaps, WriterHistory, type Writing } from "./writers.ts";
