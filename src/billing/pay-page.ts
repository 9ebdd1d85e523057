import { z } from 'zod';
import type { Database } from '../database/connect.ts';

/** The part of a subscription's view that names where its invoices are paid. */
const viewSchema = z.object({
  invoices: z.array(
    z.object({
      status: z.string(),
      amountRemaining: z.number(),
      payPage: z
        .url({ protocol: /^https?$/ })
        .nullable()
        .catch(null),
    }),
  ),
});

/**
 * Where an agent's buyer pays the latest open invoice, on Stripe's own page; undefined: none is open, or
 * Stripe did not say.
 */
export async function findPayPage(database: Database, agentId: string): Promise<string | undefined> {
  const row = await database
    .selectFrom('subscriptions')
    .select('view')
    .where('agent_id', '=', agentId)
    .where('governs', '=', true)
    .executeTakeFirst();
  // Views of earlier versions name no page.
  const view = viewSchema.safeParse(row?.view);
  if (!view.success) return undefined;
  const open = view.data.invoices.find(
    ({ status, amountRemaining }) => status === 'open' && amountRemaining > 0,
  );
  return open?.payPage ?? undefined;
}
