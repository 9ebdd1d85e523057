import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { z } from 'zod';
import type { DueHandler } from '../../due.ts';
import { type Keeper, startKeeper } from './keeper.ts';
import { createMetadata } from './metadata.ts';
import { openWorld, type World } from './world.ts';

/** What the set-up has prepared on this host, and where machines are to live. */
export const realMachinesSchema = z.object({
  /** Folder for disks and for all that belongs to their network; made with mode 0700 if absent. */
  dir: z.string().min(1),
  /** Root folder of the system that machines start from. */
  base: z.string().min(1),
  headscale: z.string().min(1),
  tailscale: z.string().min(1),
  tailscaled: z.string().min(1),
});

export type RealMachinesOptions = z.infer<typeof realMachinesSchema>;

export type RealMachines = {
  world: World;
  /** What is due for machines: a look at once when one is to boot. */
  handlers: Record<'machine-boot', DueHandler>;
  /** Cuts the power of all machines and leaves nothing but their disks. */
  stop(): Promise<void>;
};

/** Opens the network of an installation's machines. What a killed predecessor has left is removed first. */
export async function openMachinesWorld(
  pool: pg.Pool,
  options: RealMachinesOptions,
  path?: string,
): Promise<World> {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  return openWorld({
    dir: join(options.dir, 'world'),
    mark: markOf(options.dir),
    path,
    readMetadata: createMetadata(pool),
  });
}

/** Boots and keeps the machines behind the sandbox's servers. To be called when everything that they will ask for is there. */
export async function startRealMachines(
  pool: pg.Pool,
  world: World,
  { dir, base }: RealMachinesOptions,
): Promise<RealMachines> {
  const mark = markOf(dir);
  const keeper: Keeper = await startKeeper({ pool, world, mark, dir, base });
  return {
    world,
    handlers: { 'machine-boot': async () => keeper.look() },
    stop: async () => {
      await keeper.stop();
      await world.close();
    },
  };
}

/** Installations on one host are told apart by where their machines live. */
function markOf(dir: string): string {
  return createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 12);
}
