import { z } from 'zod';
import { count, readArguments } from '../arguments.ts';

export const MEASUREMENTS = [
  'provision',
  'webhook',
  'pool',
  'aging',
  'sweep',
  'recovery',
  'machines',
  'pages',
] as const;
export type Measurement = (typeof MEASUREMENTS)[number];

export interface Options {
  measurements: readonly Measurement[];
  rounds: number;
  /** Servers that wait, where the pool is measured. */
  slots: number;
  /** The fleet that is swept. */
  agents: number;
  /** Agents whose databases are lost. */
  lost: number;
  /** Agents bought in sequence on real machines. */
  purchases: number;
  /** Also writes all figures to this file, as JSON. */
  json: string | undefined;
  /** The service's `PULUMI_SECRETS_PROVIDER`; the documented sides keep the passphrase. */
  secretsProvider: string | undefined;
}

export const USAGE = `Usage: npm run bench -- [--only ${MEASUREMENTS.join(',')}] [--rounds N] [--purchases N] [--slots N] [--agents N] [--lost N] [--json FILE] [--secrets-provider ADDRESS]`;

const schema = z.object({
  only: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(MEASUREMENTS, { error: `--only takes ${MEASUREMENTS.join(', ')}` })).min(1))
    .optional(),
  rounds: count('--rounds', 100).default(3),
  purchases: count('--purchases', 100).default(5),
  slots: count('--slots', 200).default(50),
  agents: count('--agents', 20_000).default(1_000),
  lost: count('--lost', 1_000).default(100),
  json: z.string().optional(),
  'secrets-provider': z.string().optional(),
});

const text = { type: 'string' } as const;

/** @throws Error that says what is wrong with the arguments. */
export function readOptions(args: string[]): Options {
  const options = {
    only: text,
    rounds: text,
    purchases: text,
    slots: text,
    agents: text,
    lost: text,
    json: text,
    'secrets-provider': text,
  };
  const read = readArguments(args, options, schema);
  const { only: measurements = MEASUREMENTS, 'secrets-provider': secretsProvider, ...others } = read;
  return { ...others, measurements, json: others.json, secretsProvider };
}
