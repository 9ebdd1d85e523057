import type { Connections } from '../connections/connections.ts';
import { type Dial, dialDirectly } from '../tailnet/agent-health.ts';
import { createSimulatedHandOver, type HandOver } from '../tailnet/hand-over.ts';
import { createSshHandOver, type SshHandOver } from '../tailnet/ssh-hand-over.ts';

/** How servers that wait get their agents; only real ones have paths to keep open. */
export type OpenHandOver = { handOver: HandOver } & Partial<SshHandOver>;

/** `dial`: that of the controller's node; undefined if this host's own network reaches servers. */
export function openHandOver(
  { machines, healthAddress }: Pick<Connections, 'machines' | 'healthAddress'>,
  dial: Dial = dialDirectly,
): OpenHandOver {
  if (machines === 'simulated') return { handOver: createSimulatedHandOver(healthAddress) };
  return createSshHandOver(dial);
}
