import type { Pool } from 'pg';
import { addGauge } from '../telemetry/process-metrics.ts';

/** Adds the connections of this process to the database. */
export function observeDatabasePool(pool: Pick<Pool, 'totalCount' | 'idleCount' | 'waitingCount'>): void {
  addGauge(
    {
      name: 'database_connections',
      help: 'Connections of this process to its database; waiting: requests for one',
      label: 'state',
    },
    () => ({
      used: pool.totalCount - pool.idleCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
  );
}

/** Adds what this worker has at work. */
export function observeWork({
  running,
  engines,
}: {
  running: () => number;
  engines: () => { busy: number; idle: number };
}): void {
  addGauge(
    { name: 'worker_operations', help: 'Operations that this worker carries out', label: 'state' },
    () => ({ running: running() }),
  );
  addGauge({ name: 'engine_processes', help: 'Engine processes of this worker', label: 'state' }, () => ({
    ...engines(),
  }));
}
