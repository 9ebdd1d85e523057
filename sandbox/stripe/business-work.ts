import { type Selectable, sql } from 'kysely';
import type { BusinessWork } from '../clock/due-work.ts';
import { runAt, SANDBOX_CLOCK } from '../clock/moment.ts';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { collectInvoice } from './collection.ts';
import { expireSession } from './expire-session.ts';
import type { InvoiceHidden } from './fail-next-invoice.ts';
import { saveObject } from './objects.ts';
import { passTime } from './renewals.ts';
import type { StripeObjectTable } from './schema.ts';
import { listMovingClocks } from './test-clocks.ts';
import { transact } from './transact.ts';
import type { Invoice, Session, Subscription } from './wire.ts';

const FIRST_PAUSE_SECONDS = 3600;
const LONGEST_DOUBLING = 8;

/** What falls due in Stripe: renewals, trials, drafts, retries, ends of subscriptions and of sessions. */
export const stripeWork: BusinessWork = {
  runNext: async (trx, clock, until) => {
    const due = await findDue(trx, clock, until);
    if (due === undefined) return undefined;
    refuseAgain(trx, due);
    const at = new Date(Number(due.next_at) * 1000);
    await runAt({ at, clock }, () => runDueObject(trx, due));
    return at;
  },
  postponeNext: async (trx, clock, until) => {
    const due = await findDue(trx, clock, until);
    if (due !== undefined) await postpone(trx, due);
  },
  listMoving: listMovingClocks,
};

/** Schedules what an earlier version of the sandbox has stored. */
export async function scheduleStored(database: SandboxDatabase): Promise<void> {
  const rows = await database
    .selectFrom('stripe_objects')
    .select('id')
    .where('clock', '=', SANDBOX_CLOCK)
    .where('next_at', 'is', null)
    .where('object', 'in', ['subscription', 'checkout.session'])
    .where(sql<string>`body->>'status'`, 'in', ['open', 'active', 'trialing', 'past_due', 'incomplete'])
    .execute();
  for (const { id } of rows)
    await transact(database, [id], async (trx) => {
      const { body } = await selectObjects(trx).where('id', '=', id).forUpdate().executeTakeFirstOrThrow();
      await saveObject(trx, body);
    });
}

type Due = Pick<Selectable<StripeObjectTable>, 'id' | 'next_at' | 'failures'> & {
  body: Subscription | Invoice | Session;
  hidden: InvoiceHidden | null;
};

function selectObjects(database: SandboxDatabase) {
  return database
    .selectFrom('stripe_objects')
    .select(['id', 'next_at', 'failures', 'body', 'hidden'])
    .$castTo<Due>();
}

async function findDue(trx: SandboxTransaction, clock: string, until: Date): Promise<Due | undefined> {
  return selectObjects(trx)
    .where('clock', '=', clock)
    .where('next_at', '<=', String(Math.floor(until.getTime() / 1000)))
    .orderBy('next_at')
    .orderBy('number')
    .limit(1)
    .executeTakeFirst();
}

/** What each transaction has run last. */
const lastRun = new WeakMap<SandboxTransaction, Due>();

/** What stays due at the same time after its work has run would run forever. */
function refuseAgain(trx: SandboxTransaction, due: Due): void {
  const last = lastRun.get(trx);
  if (last?.id === due.id && last.next_at === due.next_at)
    throw new Error(`${due.id} is still due after its work has run`);
  lastRun.set(trx, due);
}

async function runDueObject(trx: SandboxTransaction, { body, hidden }: Due): Promise<void> {
  if (body.object === 'subscription') await passTime(trx, body);
  else if (body.object === 'invoice') await collectInvoice(trx, body, hidden);
  else await expireSession(trx, body);
}

async function postpone(trx: SandboxTransaction, { id, next_at, failures }: Due): Promise<void> {
  const pause = FIRST_PAUSE_SECONDS * 2 ** Math.min(failures, LONGEST_DOUBLING);
  await trx
    .updateTable('stripe_objects')
    .set({ next_at: Number(next_at) + pause, failures: failures + 1 })
    .where('id', '=', id)
    .execute();
  console.error(`sandbox clock: ${id} is put off by ${pause} s of its clock`);
}
