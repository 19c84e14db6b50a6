export { startServer, type RunningServer, type ServerOptions } from "./main.ts";
export { describeApi, type ApiDescription } from "./api/description.ts";
export { describeUndo, type UndoAnswer } from "./undo/describe.ts";
export { readBackupFolder, summaryOf, writeBackupFolder, type BackupSummary } from "./backup/backup-folder.ts";
export { chainHash, exportHead, exportLine, verifyExport, type ExportProof } from "@skerry/store";
export { restoreBackupFolder, type RestoreOptions } from "./backup/restore.ts";
