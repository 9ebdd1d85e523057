import { setTimeout as sleep } from 'node:timers/promises';
import type { ScenarioContext } from './scenario-context.ts';
import { withClient } from './snapshot.ts';

/** The leases held at one moment, and the number of queued operations. */
export interface Look {
  waiting: number;
  leases: { operation_id: string; agent_id: string; attempt: number; worker_id: string }[];
}

export interface WatchedLeases {
  stop(): Promise<Look[]>;
}

/** Reads all leases several times a second until it is stopped. */
export function watchLeases(context: ScenarioContext): WatchedLeases {
  const looks: Look[] = [];
  let over = false;
  const watching = withClient(context.installation.file.databaseUrl, async (client) => {
    while (!over) {
      const { rows } = await client.query<Look['leases'][number] & { status: string }>(
        `select operation_id, agent_id, attempt, worker_id, status from operations where status in ('queued', 'active')`,
      );
      const active = rows.filter(({ status }) => status === 'active');
      looks.push({ waiting: rows.length - active.length, leases: active });
      await sleep(150);
    }
  });
  return {
    stop: async () => {
      over = true;
      await watching;
      return looks;
    },
  };
}

/** Finds attempts that were held by two workers, and agents with two leases at once. */
export function checkLeases(looks: Look[]): { doubled: string[] } {
  const workers = new Map<string, Set<string>>();
  const doubled: string[] = [];
  for (const { leases } of looks) {
    const agents = leases.map(({ agent_id }) => agent_id);
    if (new Set(agents).size !== agents.length) doubled.push(`two leases at once: ${agents.join(', ')}`);
    for (const { operation_id, attempt, worker_id } of leases) {
      const key = `${operation_id} ${attempt}`;
      workers.set(key, (workers.get(key) ?? new Set()).add(worker_id));
    }
  }
  for (const [key, of] of workers)
    if (of.size > 1) doubled.push(`${key} was held by ${[...of].join(' and ')}`);
  return { doubled };
}

/** Counts each worker's attempts, and in what share of the readings with queued operations it was at work. */
export function busiest(looks: Look[]): { worker: string; attempts: number; share: number }[] {
  const whileWaiting = looks.filter(({ waiting }) => waiting > 0);
  const workers = new Set(looks.flatMap(({ leases }) => leases.map(({ worker_id }) => worker_id)));
  return [...workers].map((worker) => ({
    worker,
    attempts: new Set(
      looks.flatMap(({ leases }) =>
        leases
          .filter(({ worker_id }) => worker_id === worker)
          .map(({ operation_id, attempt }) => `${operation_id} ${attempt}`),
      ),
    ).size,
    share:
      whileWaiting.filter(({ leases }) => leases.some(({ worker_id }) => worker_id === worker)).length /
      Math.max(1, whileWaiting.length),
  }));
}
