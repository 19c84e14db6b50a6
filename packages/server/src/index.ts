export { startServer, type RunningServer, type ServerOptions } from "./main.ts";
export { describeApi, type ApiDescription } from "./api/description.ts";
