import { randomUUID } from 'node:crypto';
import type { Connections } from '../../connections/connections.ts';
import type { Database } from '../../database/connect.ts';
import { isRecovering } from '../../database/recovering.ts';
import { exchange } from '../../http-client/exchange.ts';
import { openCheckoutSession } from '../../stripe/open-session.ts';

export const DEMO_REGION = 'eu-central';

/**
 * Buys one agent if the database is empty and stands in for no lost one, as a customer would: opens a
 * checkout session at the sandbox's Stripe and completes it on the checkout page. The signed event that
 * follows does the rest.
 */
export async function placeDemoOrder(deps: {
  database: Database;
  connections: Connections;
  say: (line: string) => void;
}): Promise<void> {
  const { database, connections, say } = deps;
  if (await isRecovering(database)) return;
  const known = await database.selectFrom('agents').select('agent_id').limit(1).executeTakeFirst();
  if (known !== undefined || connections.stripe.apiUrl === undefined || connections.checkoutUrl === undefined)
    return;
  const agentId = `demo-${randomUUID().slice(0, 8)}`;
  say(`  Placing a demo order at the sandbox's checkout: agent ${agentId}`);
  const sessionId = await openCheckoutSession(connections.stripe, {
    metadata: { agentId, userId: 'demo', region: DEMO_REGION },
    successUrl: `${connections.stripe.apiUrl}/checkout`,
    centsPerMonth: 1900,
  });
  const paid = await exchange({
    method: 'POST',
    url: `${connections.checkoutUrl}/${sessionId}`,
    headers: { accept: 'application/json' },
  });
  if (paid.status > 299) throw new Error(`The sandbox's checkout answered ${paid.status}`);
}
