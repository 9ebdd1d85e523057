import { z } from 'zod';
import { duration } from './billing.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { REGIONS, toLocation } from './regions.ts';

/** How often an agent goes through a whole life by itself, to show that everything works. */
export interface CanaryConfig {
  /** Milliseconds from one to the next; undefined: only when a person asks. */
  everyMs: number | undefined;
  maxEuros: number;
  region: string;
}

const DEFAULT_EUROS = 0.05;

const euros = z
  .string()
  .regex(/^\d{1,3}(\.\d{1,4})?$/, 'must be an amount in euros, such as 0.05')
  .transform(Number)
  .refine((value) => value > 0, 'must be more than nothing');

const region = z
  .string()
  .refine((text) => toLocation(text) !== undefined, `must be one of ${REGIONS.join(', ')}`);

export function readCanary(reader: EnvironmentReader): CanaryConfig {
  return {
    everyMs: reader.read('CANARY_EVERY', duration),
    maxEuros: reader.read('CANARY_MAX_COST', euros) ?? DEFAULT_EUROS,
    region: reader.read('CANARY_REGION', region) ?? 'eu-central',
  };
}
