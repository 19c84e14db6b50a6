"""A delayed network link in user space, for kernels without netem.

link.py NAMESPACE INTERFACE NAMESPACE INTERFACE DELAY_MS [QUEUE_BYTES]

Both interfaces are existing persistent TAP devices, each in a named network namespace. Every frame read from one is
written to the other DELAY_MS later. Segmentation offload is on, so that one read carries up to 64 KiB and Python keeps
up with some hundred Mb/s. Frames beyond QUEUE_BYTES per direction are dropped, as a router's full queue would do.
Ends by itself when either namespace is gone, since the open devices would keep it alive for ever.
"""
import ctypes
import fcntl
import gc
import os
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
OFFLOAD_CHECKSUM, OFFLOAD_TSO4, OFFLOAD_TSO6 = 0x01, 0x02, 0x04
CLONE_NEWNET = 0x40000000
LONGEST_FRAME = 65536 + 64
FRAMES_PER_TURN = 64

libc = ctypes.CDLL(None, use_errno=True)


def enter(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def attach(namespace, interface):
    """Opens the TAP device inside its namespace; returns the descriptor, the namespace's path and its inode."""
    path = "/run/netns/" + namespace
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    inode = os.fstat(there).st_ino
    enter(there)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(device, TUNSETOFFLOAD, OFFLOAD_CHECKSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6)
    enter(home)
    os.close(home)
    os.close(there)
    return device, path, inode


def alive(path, inode):
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False


def main():
    delay = float(sys.argv[5]) / 1000
    limit = int(sys.argv[6]) if len(sys.argv) > 6 else 32 * 1024 * 1024
    left, left_path, left_inode = attach(sys.argv[1], sys.argv[2])
    right, right_path, right_inode = attach(sys.argv[3], sys.argv[4])
    directions = {left: (right, deque()), right: (left, deque())}
    queued = {left: 0, right: 0}
    monotonic, read, write, wait = time.monotonic, os.read, os.write, select.select
    gc.disable()  # nothing here makes cycles
    check_at = monotonic() + 1
    while True:
        now = monotonic()
        if now >= check_at:
            if not (alive(left_path, left_inode) and alive(right_path, right_inode)):
                return
            check_at = now + 1
        timeout = check_at - now
        for _, queue in directions.values():
            if queue:
                timeout = min(timeout, queue[0][0] - now)
        readable = wait((left, right), (), (), max(timeout, 0))[0]
        for source in readable:
            queue = directions[source][1]
            due = monotonic() + delay
            for _ in range(FRAMES_PER_TURN):
                try:
                    frame = read(source, LONGEST_FRAME)
                except BlockingIOError:
                    break
                if queued[source] + len(frame) <= limit:
                    queued[source] += len(frame)
                    queue.append((due, frame))
        now = monotonic()
        for source, (target, queue) in directions.items():
            while queue and queue[0][0] <= now:
                frame = queue.popleft()[1]
                queued[source] -= len(frame)
                try:
                    write(target, frame)
                except OSError:
                    pass  # the other end is down: the frame is lost, as on any wire


if __name__ == "__main__":
    main()
