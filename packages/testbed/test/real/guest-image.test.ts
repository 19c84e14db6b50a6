import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { runCommand } from "../../src/command.ts";
import {
  buildGuestImage,
  defaultTestbedOptions,
  installPrerequisites,
  type GuestImage,
  type Progress,
} from "../../src/index.ts";
import { guestMac, leasedAddress, RunningGuest, staticAddress, writeSeed } from "./guest.ts";

const quiet: Progress = () => undefined;

describe("the islet", () => {
  let image: GuestImage;
  let directory: string;
  let key: string;

  before(async () => {
    await installPrerequisites(quiet);
    image = await buildGuestImage({ cacheDir: defaultTestbedOptions.cacheDir }, quiet);
    directory = await mkdtemp("/tmp/islet-");
    key = `${directory}/key`;
    await runCommand(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  });
  after(async () => {
    await rm(directory, { recursive: true });
  });

  async function newDisk(name: string, size?: string): Promise<string> {
    const disk = `${directory}/${name}.qcow2`;
    await runCommand([
      "qemu-img",
      "create",
      "-q",
      "-f",
      "qcow2",
      "-b",
      image.path,
      "-F",
      "qcow2",
      disk,
      ...(size === undefined ? [] : [size]),
    ]);
    return disk;
  }

  test("is small, has the digest it says, and comes from the cache the second time", async () => {
    assert.ok(image.sizeBytes < 20 * 1024 * 1024, String(image.sizeBytes));
    const { stdout } = await runCommand(["sha256sum", image.path]);
    assert.equal(image.digest, `sha256:${stdout.slice(0, 64)}`);
    assert.deepEqual(await buildGuestImage({ cacheDir: defaultTestbedOptions.cacheDir }, quiet), image);
  });

  test("boots by BIOS with a NoCloud seed, answers, and keeps its data and its count over a power-off", async (context) => {
    const publicKey = (await readFile(`${key}.pub`, "utf8")).trim();
    const seed = await writeSeed(directory, {
      "meta-data": JSON.stringify({ "instance-id": "i-one", "local-hostname": "web1" }),
      "user-data": `#cloud-config\nssh_authorized_keys:\n  - ${publicKey}\nwrite_files:\n  - path: /etc/note\n    permissions: '0600'\n    content: |\n      a \\ b\n        c\nruncmd:\n  - [sh, -c, "echo \\"it's run\\" >> /var/log/ran"]\n`,
      "network-config": `version: 2\nethernets:\n  nic0:\n    match:\n      macaddress: "${guestMac}"\n    mtu: 1370\n    addresses: [${staticAddress}/24]\n    routes:\n      - to: default\n        via: 10.0.2.2\n    nameservers:\n      addresses: [10.0.2.3]\n`,
    });
    const disk = await newDisk("kept", "256M");
    let first: { data: string; tick: number };
    {
      await using guest = await RunningGuest.start(directory, disk, seed, staticAddress, 96);
      assert.equal(await guest.get("/"), "hello from web1 i-one");
      context.diagnostic(
        `boot to HTTP under TCG: ${Math.round(performance.now() - guest.startedAt)} ms, image ${image.sizeBytes} bytes`,
      );
      assert.equal(await guest.get("/boot"), "1");
      assert.equal(await guest.get("/ip"), `${staticAddress}/24`);
      assert.match(await guest.serial(), /GUEST-READY web1 i-one ip=10\.0\.2\.77\/24 boot=1 /);
      assert.equal(await guest.ssh(key, "cat /etc/note; stat -c %a /etc/note"), "a \\ b\n  c\n600\n");
      assert.equal(await guest.ssh(key, "cat /var/log/ran"), "it's run\n");
      assert.equal(
        await guest.ssh(key, "cat /sys/class/net/eth0/mtu; ip route | head -n 1; cat /etc/resolv.conf"),
        "1370\ndefault via 10.0.2.2 dev eth0 \nnameserver 10.0.2.3\n",
      );
      assert.ok(
        Number(await guest.ssh(key, "df -m / | awk 'NR == 2 { print $2 }'")) > 180,
        "the root file system grew with its disk",
      );
      first = { data: await guest.get("/data"), tick: Number(await guest.get("/tick")) };
      assert.match(first.data, /^[0-9a-f-]{36}$/);
      const offMs = await guest.powerDown();
      context.diagnostic(`power button to off: ${Math.round(offMs)} ms`);
      assert.ok(offMs < 15_000);
    }
    await using guest = await RunningGuest.start(directory, disk, seed, staticAddress, 96);
    assert.equal(await guest.get("/"), "hello from web1 i-one");
    assert.equal(await guest.get("/boot"), "2");
    assert.equal(await guest.get("/data"), first.data);
    assert.ok(Number(await guest.get("/tick")) >= first.tick);
    assert.equal(await guest.ssh(key, "cat /var/log/ran"), "it's run\n", "runcmd is for an instance's first boot");
  });

  test("never serves a count that a power cut could take back", async () => {
    const disk = await newDisk("cut");
    let seen: number;
    {
      await using guest = await RunningGuest.start(directory, disk, undefined, leasedAddress, 96);
      do seen = Number(await guest.get("/tick"));
      while (seen < 3);
    } // killed without a word
    await using guest = await RunningGuest.start(directory, disk, undefined, leasedAddress, 96);
    assert.ok(Number(await guest.get("/tick")) >= seen);
  });

  test("asks by DHCP when it has no seed", async () => {
    await using guest = await RunningGuest.start(directory, await newDisk("dhcp"), undefined, leasedAddress, 96);
    assert.equal(await guest.get("/"), "hello from islet none");
    assert.equal(await guest.get("/ip"), `${leasedAddress}/24`);
  });
});
