export {
  defaultTestbedOptions,
  hostPackages,
  TestbedError,
  visitorUser,
  type HostPackages,
  type Prerequisite,
  type Progress,
  type ProgressEvent,
  type Testbed,
  type TestbedHost,
  type TestbedOptions,
  type TestbedProvider,
} from "./testbed.ts";
export { bringUp, describeTestbed } from "./bring-up.ts";
export { installPrerequisites, missingPrerequisites } from "./prerequisites.ts";
export { takeDown } from "./take-down.ts";
export { buildDebianImage } from "./debian-image.ts";
export { buildGuestImage } from "./guest-image.ts";
export type { GuestImage } from "./image-cache.ts";
