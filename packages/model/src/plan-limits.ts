/** What one `POST /api/v1/plan` takes: its resources are tried in one turn, in which the server does nothing else. */
export const planLimits = { resources: 200, bytes: 1024 * 1024 } as const;
