import { z } from 'zod';
import { parseAnswer } from '../http-client/answer.ts';
import { createCall, HETZNER, type HetznerAccount } from './calls.ts';

const KINDS = ['servers', 'firewalls', 'ssh_keys', 'primary_ips'] as const;

/**
 * Reads the ids of some of what is in a token's project, as `servers/4711`: of each kind the oldest. They are
 * Hetzner's own, so one that two tokens see means that they are of one project.
 * @throws the client's errors
 */
export async function readHoldings(account: HetznerAccount): Promise<Set<string>> {
  const call = createCall(account);
  const found = await Promise.all(
    KINDS.map(async (kind) => {
      const answer = await call('GET', `/${kind}?sort=id%3Aasc&per_page=10`);
      const schema = z.object({ [kind]: z.array(z.object({ id: z.number() })) });
      return (parseAnswer(schema, answer, HETZNER)[kind] ?? []).map(({ id }) => `${kind}/${id}`);
    }),
  );
  return new Set(found.flat());
}
