import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { presentDevice } from './device.ts';
import { untilHealthy } from './healthy.ts';
import { switchOff, switchOn } from './power.ts';
import { bringUpToDate } from './recovery.ts';
import { findServer } from './server-attributes.ts';

/** Switches the agent's server on, waits until it answers at its old address, and updates the stack. */
export async function turnOn(parts: RunbookParts, attempt: Attempt): Promise<void> {
  attempt.step('starting_server');
  const server = await findServer(parts, attempt);
  const { tailnetIp } = await presentDevice(parts.tailscale, attempt);
  await switchOn(parts, attempt, server);
  attempt.step('verifying');
  await untilHealthy(parts, attempt, { serverId: server.id, tailnetIp });
  attempt.step('refreshing');
  await bringUpToDate(parts.executor, attempt);
}

/** Switches the agent's server off and updates the stack. */
export async function turnOff(parts: RunbookParts, attempt: Attempt): Promise<void> {
  attempt.step('stopping_server');
  await switchOff(parts, attempt, await findServer(parts, attempt));
  attempt.step('refreshing');
  await bringUpToDate(parts.executor, attempt);
}
