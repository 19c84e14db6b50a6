import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { runCommand } from "../../src/command.ts";
import {
  buildDebianImage,
  defaultTestbedOptions,
  installPrerequisites,
  type GuestImage,
  type Progress,
} from "../../src/index.ts";
import { guestMac, RunningGuest, staticAddress, writeSeed } from "../real/guest.ts";

const quiet: Progress = () => undefined;

describe("the full Debian guest", () => {
  let image: GuestImage;
  let directory: string;

  before(async () => {
    await installPrerequisites(quiet);
    image = await buildDebianImage({ cacheDir: defaultTestbedOptions.cacheDir }, quiet);
    directory = await mkdtemp("/tmp/debian-guest-");
    await runCommand(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${directory}/key`]);
  });
  after(async () => {
    await rm(directory, { recursive: true });
  });

  test("takes its name, address, key and commands from a NoCloud seed by real cloud-init, and shuts down on the power button", async (context) => {
    const publicKey = (await readFile(`${directory}/key.pub`, "utf8")).trim();
    const seed = await writeSeed(directory, {
      "meta-data": JSON.stringify({ "instance-id": "i-debian", "local-hostname": "web2" }),
      "user-data": `#cloud-config\n${JSON.stringify({ ssh_authorized_keys: [publicKey], runcmd: ["touch /var/log/ran"] })}\n`,
      "network-config": JSON.stringify({
        version: 2,
        ethernets: {
          nic0: {
            match: { macaddress: guestMac },
            addresses: [`${staticAddress}/24`],
            routes: [{ to: "0.0.0.0/0", via: "10.0.2.2" }],
            mtu: 1370,
          },
        },
      }),
    });
    const disk = `${directory}/disk.qcow2`;
    await runCommand(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image.path, "-F", "qcow2", disk, "3G"]);
    await using guest = await RunningGuest.start(directory, disk, seed, staticAddress, 512);
    assert.equal(await guest.get("/", 600_000), "hello from web2 i-debian");
    context.diagnostic(
      `boot to HTTP under TCG: ${Math.round(performance.now() - guest.startedAt)} ms, image ${image.sizeBytes} bytes`,
    );
    assert.equal(await guest.get("/ip"), `${staticAddress}/24`);
    assert.equal(await guest.get("/boot"), "1");
    const asDebian = { user: "debian", timeoutMs: 300_000 };
    assert.equal(
      await guest.ssh(
        `${directory}/key`,
        "sudo cloud-init status --wait --long 1>&2; ls /var/log/ran; sudo id -u",
        asDebian,
      ),
      "/var/log/ran\n0\n",
    );
    assert.ok(
      Number(await guest.ssh(`${directory}/key`, "df -m --output=size / | tail -n 1", asDebian)) > 2_500,
      "the root file system grew with its disk",
    );
    context.diagnostic(`power button to off: ${Math.round(await guest.powerDown(180_000))} ms`);
  });
});
