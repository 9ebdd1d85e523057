import type { OperationKind } from '../operations/states.ts';

/** A canary's life, in order. Each act is an operation; the first ends with the first healthy answer. */
export const ACTS = [
  'provision',
  'stop',
  'start',
  'suspend',
  'hibernate',
  'wake',
  'destroy',
] as const satisfies OperationKind[];
export type Act = (typeof ACTS)[number];

/** Servers that it makes, one with its provision and one when it wakes. Hetzner bills each begun hour. */
export const SERVERS_MADE = 2;
