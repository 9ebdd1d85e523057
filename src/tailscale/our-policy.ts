import { readFile } from 'node:fs/promises';
import jsonc from 'jsonc-parser';
import { z } from 'zod';
import type { PolicyTest } from './policy.ts';

const FILE = new URL('../../docs/tailnet-policy.hujson', import.meta.url);

const rule = z.object({ action: z.literal('accept'), src: z.array(z.string()), dst: z.array(z.string()) });

const policySchema = z.object({
  tagOwners: z.record(z.string(), z.array(z.string())),
  acls: z.array(rule),
  tests: z.array(
    z.object({
      src: z.string(),
      accept: z.array(z.string()).optional(),
      deny: z.array(z.string()).optional(),
    }),
  ),
});

/** What agents and controllers need of a tailnet's policy: docs/tailnet-policy.hujson. */
export interface OurPolicy extends z.infer<typeof policySchema> {
  text: string;
  tests: PolicyTest[];
}

export async function readOurPolicy(): Promise<OurPolicy> {
  const text = await readFile(FILE, 'utf8');
  return { text, ...policySchema.parse(jsonc.parse(text, [], { allowTrailingComma: true })) };
}
