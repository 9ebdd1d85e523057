import { z } from 'zod';
import { stackOutputsSchema } from '../../stacks/outputs.ts';
import type { AgentTable } from '../database/tables.ts';

/** What a running agent has: the outputs of its stack, and which device it is. */
export const agentOutputsSchema = stackOutputsSchema.extend({
  /** Null where a runner has reported an IPv6 address alone. */
  ipv4: stackOutputsSchema.shape.ipv4.nullable(),
  /** Tailscale's `nodeId`; none where a runner that knows no such id has reported. */
  tailnetNodeId: z
    .string()
    .regex(/^[A-Za-z0-9]{1,64}$/, 'is not the id of a device')
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

/** The outputs as columns of the agent's row; no outputs clear them. */
export function outputColumns(outputs: AgentOutputs | null): OutputColumns {
  const entries = Object.entries(COLUMNS) as [keyof AgentOutputs, keyof OutputColumns][];
  return Object.fromEntries(
    entries.map(([name, column]) => [column, outputs?.[name] ?? null]),
  ) as OutputColumns;
}
