import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { poll } from '../../src/processes/poll.ts';
import type { Installation } from './installation.ts';
import { newestOperation, type Operation, type Purchase, splitConfiguring, splitSteps } from './purchase.ts';

/** Agents on real machines: some bought in sequence, some at the same moment. */
export interface MachinesResult {
  purchases: Purchase[];
  /** The same, once there is an image that new servers are made from. */
  withImage: Purchase[];
  /** Seconds from the common moment of purchase until each of them ran. */
  atOnceSeconds: number[];
}

/** Why nothing was measured. */
export interface LeftOut {
  leftOut: string;
}

export const AT_ONCE = 5;

/** Buys agents and destroys them again. The installation must have real machines. */
export async function measureMachines(
  installation: Installation,
  options: { purchases: number; tell: (line: string) => void },
): Promise<MachinesResult> {
  const { purchases: count, tell } = options;
  // Each place starts its engine process once, and keeps it.
  await buyAtOnce(installation.ours, AT_ONCE);
  tell(`${AT_ONCE} at the same moment, unmeasured`);
  const purchases = await buyInSequence(installation, count, tell);
  const atOnceSeconds = await buyAtOnce(installation.ours, AT_ONCE);
  tell(`${AT_ONCE} at the same moment: all running after ${Math.max(...atOnceSeconds).toFixed(1)} s`);
  await buildImage(installation);
  tell('an image is built: new servers are made from it');
  const withImage = await buyInSequence(installation, count, tell);
  return { purchases, withImage, atOnceSeconds };
}

async function buyInSequence(
  installation: Installation,
  count: number,
  tell: (line: string) => void,
): Promise<Purchase[]> {
  const purchases: Purchase[] = [];
  while (purchases.length < count) {
    const purchase = await buyAndDestroy(installation);
    purchases.push(purchase);
    tell(
      `purchase ${purchases.length} of ${count}: running after ${purchase.seconds.toFixed(1)} s, ` +
        `destroyed in ${purchase.destroySeconds.toFixed(1)} s`,
    );
  }
  return purchases;
}

const IMAGE_SECONDS = 600;
const images = z.object({ items: z.array(z.object({ fits: z.boolean(), error: z.string().nullable() })) });

/** @throws Error if the image cannot be built in time */
async function buildImage({ service }: Installation): Promise<void> {
  const headers = { authorization: `Bearer ${service.sandbox.apiToken}`, 'content-type': 'application/json' };
  const ask = async (method: string) => {
    const response = await fetch(`${service.url}/api/images`, { method, headers });
    if (!response.ok) throw new Error(`${method} /api/images failed with ${response.status}`);
    return response.json();
  };
  await ask('POST');
  const isBuilt = async () => {
    const { items } = images.parse(await ask('GET'));
    const failed = items.find(({ error }) => error !== null);
    if (failed !== undefined) throw new Error(`The image could not be built: ${failed.error}`);
    return items.some(({ fits }) => fits) || undefined;
  };
  const built = await poll(isBuilt, { intervalMs: 500, timeoutMs: IMAGE_SECONDS * 1000 });
  if (built === undefined) throw new Error(`The image was not built within ${IMAGE_SECONDS} s`);
}

async function buyAndDestroy(installation: Installation): Promise<Purchase> {
  const { ours } = installation;
  const agentId = newAgentId();
  const seconds = await timed(() => ours.provision(agentId));
  const operation = await readOperation(installation, agentId);
  const steps = splitSteps(operation, seconds);
  const configuring = splitConfiguring(
    readConfigureLog(installation, operation),
    steps.find(({ name }) => name === 'configuring')?.seconds ?? 0,
  );
  return { seconds, steps, configuring, destroySeconds: await timed(() => ours.destroy(agentId)) };
}

async function buyAtOnce({ provision, destroy }: Installation['ours'], count: number): Promise<number[]> {
  const agentIds = Array.from({ length: count }, newAgentId);
  const seconds = await Promise.all(agentIds.map((agentId) => timed(() => provision(agentId))));
  await Promise.all(agentIds.map(destroy));
  return seconds;
}

/** @throws Error if it took several attempts, because those times would not be a purchase's. */
async function readOperation({ service }: Installation, agentId: string): Promise<Operation> {
  const response = await fetch(`${service.url}/api/agents/${agentId}/operations`, {
    headers: { authorization: `Bearer ${service.sandbox.apiToken}` },
  });
  if (!response.ok) throw new Error(`Reading the operations of ${agentId} failed with ${response.status}`);
  const operation = newestOperation.parse(await response.json());
  if (operation.attempt !== 1) throw new Error(`${agentId} took ${operation.attempt} attempts`);
  return operation;
}

function readConfigureLog({ dataDir }: Installation, { operationId, attempt }: Operation): string {
  return readFileSync(join(dataDir, 'logs', 'configure', `${operationId}-${attempt}.log`), 'utf8');
}

const newAgentId = () => `bench-${randomUUID().slice(0, 13)}`;

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
