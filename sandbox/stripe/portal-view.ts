import type { SandboxDatabase } from '../database.ts';
import { findAnyObject, listObjects, readObject } from './objects.ts';
import { toId } from './subscription-changes.ts';
import type {
  Customer,
  Invoice,
  PaymentMethod,
  PortalSession,
  Price,
  Product,
  Subscription,
} from './wire.ts';

const MOST_INVOICES = 24;
const MOST_PLANS = 50;

/** What the portal's page shows. */
export interface PortalView {
  session: PortalSession;
  customer: Customer;
  card: PaymentMethod['card'] | undefined;
  subscriptions: { subscription: Subscription; plan: string; offers: Offer[] }[];
  invoices: Invoice[];
}

/** A plan that the customer can change to. */
export interface Offer {
  price: Price;
  name: string;
}

/** Reads what belongs to the customer of a session. */
export async function readPortalView(database: SandboxDatabase, session: PortalSession): Promise<PortalView> {
  const customer = await readObject<Customer>(database, 'customer', session.customer);
  const filter = { customer: customer.id };
  const live = await listObjects<Subscription>(database, 'subscription', {
    filter,
    except: { status: 'canceled' },
    page: { limit: 100 },
  });
  const invoices = await listObjects<Invoice>(database, 'invoice', {
    filter,
    except: { status: 'draft' },
    page: { limit: MOST_INVOICES },
  });
  const subscriptions = [];
  for (const subscription of live.data.filter(({ status }) => status !== 'incomplete_expired'))
    subscriptions.push({
      subscription,
      plan: await planName(database, subscription.items.data[0]!.price),
      offers: await findOffers(database, subscription),
    });
  return {
    session,
    customer,
    card: await findCard(database, customer, live.data),
    subscriptions,
    invoices: invoices.data,
  };
}

/** Returns the card that pays next. */
async function findCard(
  database: SandboxDatabase,
  { invoice_settings }: Customer,
  subscriptions: readonly Subscription[],
): Promise<PaymentMethod['card'] | undefined> {
  const own = subscriptions.find(({ default_payment_method }) => default_payment_method !== null);
  const id = own?.default_payment_method ?? invoice_settings.default_payment_method;
  return id ? (await readObject<PaymentMethod>(database, 'payment_method', toId(id))).card : undefined;
}

/**
 * Returns the other plans of the same currency and interval. Only prices with a name or a lookup key are
 * plans: every inline price of a checkout is a price too.
 */
async function findOffers(database: SandboxDatabase, subscription: Subscription): Promise<Offer[]> {
  const current = subscription.items.data[0]!.price;
  const { interval, interval_count } = current.recurring!;
  const { data } = await listObjects<Price>(database, 'price', {
    filter: { active: true, currency: current.currency, recurring: { interval, interval_count } },
    page: { limit: 1000 },
  });
  const named = data.filter(
    ({ id, lookup_key, nickname }) => id !== current.id && (lookup_key !== null || nickname !== null),
  );
  const offers = [];
  for (const price of named.slice(0, MOST_PLANS))
    offers.push({ price, name: await planName(database, price) });
  return offers.sort((one, other) => (one.price.unit_amount ?? 0) - (other.price.unit_amount ?? 0));
}

async function planName(database: SandboxDatabase, price: Price): Promise<string> {
  if (price.nickname) return price.nickname;
  const product = (await findAnyObject(database, toId(price.product))) as Product | undefined;
  return product?.name ?? price.lookup_key ?? price.id;
}
