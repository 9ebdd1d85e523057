import { randomUUID } from 'node:crypto';
import type { Connections } from '../../connections/connections.ts';
import type { Database } from '../../database/connect.ts';
import { exchange } from '../../http-client/exchange.ts';
import { askStripe, createStripe } from '../../stripe/stripe.ts';

/**
 * On an empty database, buys one agent the way a customer would: a checkout session at the sandbox's Stripe, completed on its page. The
 * signed event that follows does the rest.
 */
export async function placeDemoOrder(deps: {
  database: Database;
  connections: Connections;
  say: (line: string) => void;
}): Promise<void> {
  const { database, connections, say } = deps;
  const known = await database.selectFrom('agents').select('agent_id').limit(1).executeTakeFirst();
  if (known !== undefined || connections.stripe.apiUrl === undefined || connections.checkoutUrl === undefined)
    return;
  const stripe = createStripe(connections.stripe);
  const agentId = `demo-${randomUUID().slice(0, 8)}`;
  say(`  Placing a demo order at the sandbox's checkout: agent ${agentId}`);
  const session = await askStripe(
    stripe.checkout.sessions.create({
      mode: 'subscription',
      line_items: [
        {
          quantity: 1,
          price_data: {
            currency: 'eur',
            unit_amount: 1900,
            recurring: { interval: 'month' },
            product_data: { name: 'Agent' },
          },
        },
      ],
      metadata: { agentId, userId: 'demo', region: 'eu-central' },
      success_url: `${connections.stripe.apiUrl}/checkout`,
    }),
  );
  const paid = await exchange({
    method: 'POST',
    url: `${connections.checkoutUrl}/${session.id}`,
    headers: { accept: 'application/json' },
  });
  if (paid.status > 299) throw new Error(`The sandbox's checkout answered ${paid.status}`);
}
