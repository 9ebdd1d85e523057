import type { Database } from '../../database/connect.ts';
import { listPools, type PoolState } from '../../pool/listing.ts';
import { type Family, PREFIX } from '../../telemetry/families.ts';

/** A metric of the pools: its name, type, help and the value of each pool; null: not known. */
const METRICS: [string, Family['type'], string, (pool: PoolState) => number | null][] = [
  ['pool_size', 'gauge', 'Slots that there should be now', (pool) => pool.size],
  ['pool_ready', 'gauge', 'Slots that are ready', (pool) => pool.ready],
  ['pool_hits_total', 'counter', 'Orders that got a slot', (pool) => pool.hits],
  [
    'pool_misses_total',
    'counter',
    'Orders that a pool was there for, and that found no slot',
    (pool) => pool.misses,
  ],
  ['pool_age_seconds', 'gauge', 'Mean age of the slots that are ready', (pool) => pool.ageSeconds],
  ['pool_euros_per_hour', 'gauge', 'What the slots cost', (pool) => pool.eurosPerHour],
];

/** The pools in numbers, by Hetzner project, location and plan. */
export async function poolFamilies(database: Database): Promise<Family[]> {
  const pools = await listPools(database);
  return METRICS.map(([name, type, help, toValue]) => ({
    name: `${PREFIX}${name}`,
    type,
    help,
    samples: pools.flatMap((pool) => {
      const value = toValue(pool);
      return value === null ? [] : [{ labels: toLabels(pool), value }];
    }),
  }));
}

const toLabels = ({ project, location, plan }: PoolState) => ({ project, location, plan });
