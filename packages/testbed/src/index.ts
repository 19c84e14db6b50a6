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
