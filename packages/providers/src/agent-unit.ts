/** Where provisioning puts things on a host. */
export const hostPaths = {
  node: "/opt/skerry/current/node",
  bundle: "/opt/skerry/current/agent.mjs",
  config: "/etc/skerry/agent.json",
  unit: "/etc/systemd/system/skerry-agent.service",
  guard: "/opt/skerry/lease-guard.sh",
} as const;

/**
 * A node's memory belongs to its guests: V8's nursery at its least, no optimising compilers (what travels is encrypted and digested
 * in C; theirs are 7 MiB of code), size before speed, and garbage collected by the agent itself while bytes arrive. What each
 * saves is measured by `./skerry bench agent`.
 */
export const nodeFlags = [
  "--max-semi-space-size=1",
  "--no-opt",
  "--optimize-for-size",
  "--expose-gc",
  "--disable-warning=ExperimentalWarning",
] as const;

/** The agent's systemd unit; the same on every host. */
export const agentUnit = `[Unit]
Description=Skerry agent
# Not network-online.target: a host without a network starts its guests all the same.
After=network.target libvirtd.socket virtqemud.socket skerry-lease-guard.service
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[hostPaths.node, ...nodeFlags, hostPaths.bundle, "run", "--config", hostPaths.config].join(" ")}
Restart=always
RestartSec=1
# Guests and tunnels are children that outlive it.
KillMode=process
TimeoutStopSec=15
OOMPolicy=continue
OOMScoreAdjust=-500
LimitNOFILE=65536
LimitCORE=0
# One heap for all threads, and what is free at its end goes back.
Environment=MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=131072
UMask=0077
NoNewPrivileges=yes
ProtectHome=yes
ProtectSystem=full
LockPersonality=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;

/** Ends guests whose lease is over even where the agent hangs; a unit of its own, so that nothing that ends the agent ends it. */
export const guardUnit = `[Unit]
Description=Skerry lease guard
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/bin/sh ${hostPaths.guard}
Restart=always
RestartSec=1
TimeoutStopSec=5
OOMScoreAdjust=-900
LimitCORE=0
UMask=0077
NoNewPrivileges=yes
ProtectHome=yes
ProtectSystem=full
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;
