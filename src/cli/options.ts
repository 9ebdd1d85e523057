import type { ParseArgsOptionsConfig } from 'node:util';

export const text = { type: 'string' } as const;
export const flag = { type: 'boolean' } as const;

/** The options of each command that is no operation, besides `--json` and `--help`. */
export const OPTIONS = {
  list: { status: text },
  show: {},
  create: { 'agent-id': text, 'user-id': text, region: text, plan: text, wait: flag },
  logs: { follow: { type: 'boolean', short: 'f' } },
  hold: { reason: text, note: text, wait: flag },
  release: { reason: text, note: text, wait: flag },
  protect: {},
  unprotect: {},
  cancel: {},
  retry: { wait: flag },
  orders: { attention: flag },
  notices: {},
  attention: {},
  breakers: {},
  approve: { count: text },
  audit: { head: text },
  receipt: {},
  image: { location: text },
} satisfies Record<string, ParseArgsOptionsConfig>;
