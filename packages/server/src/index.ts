export { startServer, type RunningServer, type ServerOptions } from "./main.ts";
