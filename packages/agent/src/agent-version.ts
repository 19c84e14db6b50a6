/** Of the agent; told to the server, and shown by the node. */
export const agentVersion = "0.1.0";
