import { z } from 'zod';
import { stackOutputsSchema } from '../../stacks/outputs.ts';
import type { AgentTable } from '../database/tables.ts';

/** The outputs of a running agent's stack, with the id of its tailnet device. */
export const agentOutputsSchema = stackOutputsSchema.extend({
  /** Null if a runner reported only an IPv6 address. */
  ipv4: stackOutputsSchema.shape.ipv4.nullable(),
  /** Tailscale's `nodeId`; absent if a runner that does not know it reported. */
  tailnetNodeId: z
    .string()
    .regex(/^[A-Za-z0-9]{1,64}$/, 'is not a device id')
    .nullish(),
});
export type AgentOutputs = z.infer<typeof agentOutputsSchema>;

const COLUMNS = {
  serverId: 'server_id',
  serverName: 'server_name',
  ipv4: 'ipv4',
  ipv6: 'ipv6',
  tailnetIp: 'tailnet_ip',
  tailnetName: 'tailnet_name',
  tailnetNodeId: 'tailnet_node_id',
} as const satisfies Record<keyof AgentOutputs, keyof AgentTable>;

type OutputColumns = Record<(typeof COLUMNS)[keyof typeof COLUMNS], string | null>;

/** Returns the outputs as columns of the agent's row; null clears them. */
export function outputColumns(outputs: AgentOutputs | null): OutputColumns {
  const entries = Object.entries(COLUMNS) as [keyof AgentOutputs, keyof OutputColumns][];
  return Object.fromEntries(
    entries.map(([name, column]) => [column, outputs?.[name] ?? null]),
  ) as OutputColumns;
}
