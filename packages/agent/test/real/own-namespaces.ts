import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Set in the process that runs inside. */
const mark = "SKERRY_TEST_IN_NAMESPACES";

/**
 * The first statement of a test that makes devices, rules or daemons: runs the file again in network, mount and process
 * namespaces of its own, where /run is empty, and ends this process with its result. Nothing that it makes is seen
 * outside, and all of it goes with it, however it ends.
 * @param packages Debian packages that the tests need; those that are missing are installed
 */
export function enterOwnNamespaces(fileUrl: string, packages: readonly string[]): void {
  if (process.env[mark] !== undefined) return;
  install(packages);
  // A process namespace needs a first process that reaps: daemons of the tests end as orphans.
  const script = 'mount -t tmpfs -o mode=755 run /run && mkdir /run/lock && ip link set lo up && { "$@" & wait $!; }';
  const { status, error } = spawnSync(
    "setpriv",
    [
      ...["--pdeathsig", "KILL"],
      ...["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["sh", "-c", script, "sh", process.execPath, ...process.execArgv, fileURLToPath(fileUrl)],
    ],
    { stdio: "inherit", env: { ...process.env, [mark]: "1" } },
  );
  if (error !== undefined) throw error;
  process.exit(status ?? 1);
}

function install(packages: readonly string[]): void {
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...packages], {
    encoding: "utf8",
  });
  const present = new Set(stdout.split("\n").filter((line) => line.endsWith(" installed")));
  const missing = packages.filter((name) => !present.has(`${name} installed`));
  if (missing.length === 0) return;
  const options = {
    stdio: ["ignore", "ignore", "inherit"] as ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  const lock = ["-q", "-o", "DPkg::Lock::Timeout=600"];
  execFileSync("apt-get", [...lock, "update"], options);
  execFileSync("apt-get", [...lock, "install", "-y", "--no-install-recommends", ...missing], options);
}
