/** Where provisioning puts things on a host. */
export const hostPaths = {
  node: "/opt/skerry/current/node",
  bundle: "/opt/skerry/current/agent.mjs",
  config: "/etc/skerry/agent.json",
  unit: "/etc/systemd/system/skerry-agent.service",
  guard: "/opt/skerry/lease-guard.sh",
} as const;

/** V8's nursery at its least: the agent makes little garbage, and a node's memory belongs to its guests. */
export const nodeFlags = ["--max-semi-space-size=1", "--disable-warning=ExperimentalWarning"] as const;

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
Environment=MALLOC_ARENA_MAX=2
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
