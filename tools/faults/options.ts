import { z } from 'zod';
import { count, readArguments } from '../arguments.ts';
import { PHASE_NAMES } from './strikes.ts';

export const USAGE = `Usage:
  npm run faults -- [--rounds 30] [--seed 1] [--workers 2] [--pool 0] [--json FILE]
  npm run faults -- --matrix [--moments 30] [--only everything,worker,runner,cli,configure,ansible]
                 [--operations provision,destroy,suspend,resume,hibernate,wake,claim,adopt,
                               snapshot,drill,revert]
  npm run faults -- --scenarios [--short] [--only NAME,…]
  npm run faults -- --year [--subscriptions 200] [--days 365] [--seed 1] [--loss 0.05]`;

const MOST = 10_000;
const SHARE = '--loss takes a share from 0 to 1, such as 0.05';

const schema = z.object({
  rounds: count('--rounds', MOST).default(30),
  seed: count('--seed', MOST).default(1),
  workers: count('--workers', MOST).default(2),
  /** How many servers wait for customers during the random rounds. */
  pool: count('--pool', 50, 0).default(0),
  moments: count('--moments', MOST).default(30),
  matrix: z.boolean().default(false),
  scenarios: z.boolean().default(false),
  year: z.boolean().default(false),
  subscriptions: count('--subscriptions', MOST).default(200),
  days: count('--days', MOST).default(365),
  /** The share of events that never arrive. */
  loss: z.coerce.number({ error: SHARE }).min(0, SHARE).max(1, SHARE).default(0.05),
  short: z.boolean().default(false),
  /** Names of targets or scenarios. */
  only: z
    .string()
    .transform((text) => text.split(','))
    .optional(),
  /** What the matrix kills; default: all of them. */
  operations: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(PHASE_NAMES, { error: `--operations takes some of ${PHASE_NAMES.join()}` })))
    .default(PHASE_NAMES),
  /** Also writes the report to this file. */
  json: z.string().optional(),
});
export type Options = z.output<typeof schema>;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

/** @throws Error that says what is wrong with the arguments. */
export function readOptions(args: string[]): Options {
  const options = {
    rounds: text,
    seed: text,
    workers: text,
    pool: text,
    moments: text,
    only: text,
    operations: text,
    json: text,
    matrix: flag,
    scenarios: flag,
    year: flag,
    subscriptions: text,
    days: text,
    loss: text,
    short: flag,
  };
  return readArguments(args, options, schema);
}
