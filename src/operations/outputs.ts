import { z } from 'zod';
import type { StackOutputs } from '../agents/store.ts';

const text = z.string().min(1);
const outputs = z.object({
  serverId: text,
  serverName: text,
  ipv4: text,
  ipv6: text,
  tailnetIp: text,
  tailnetName: text,
});

/** A stack's outputs, checked: a run that succeeded without one of them has not made what it should. */
export function agentOutputs(values: Record<string, unknown>): StackOutputs {
  return outputs.parse(values);
}
