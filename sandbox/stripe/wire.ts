import Stripe from 'stripe';
import { currentMoment } from '../clock/moment.ts';
import { randomText } from '../random-text.ts';

/** The API version of the pinned `stripe` package; its types define the objects here. */
export const API_VERSION: string = Stripe.API_VERSION;

/** A type of the `stripe` package in its wire form, in which decimals are strings. */
export type Wire<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends Stripe.Decimal
    ? string
    : T extends readonly (infer Item)[]
      ? Wire<Item>[]
      : T extends object
        ? { [Key in keyof T]: Wire<T[Key]> }
        : T;

export type BalanceTransaction = Wire<Stripe.CustomerBalanceTransaction>;
export type Charge = Wire<Stripe.Charge>;
export type CreditNote = Wire<Stripe.CreditNote>;
export type Customer = Wire<Stripe.Customer>;
export type Dispute = Wire<Stripe.Dispute>;
export type Event = Wire<Stripe.Event>;
export type Invoice = Wire<Stripe.Invoice>;
export type InvoiceItem = Wire<Stripe.InvoiceItem>;
export type InvoicePayment = Wire<Stripe.InvoicePayment>;
export type LineItem = Wire<Stripe.LineItem>;
export type PaymentIntent = Wire<Stripe.PaymentIntent>;
export type PaymentMethod = Wire<Stripe.PaymentMethod>;
export type PortalSession = Wire<Stripe.BillingPortal.Session>;
export type Price = Wire<Stripe.Price>;
export type Product = Wire<Stripe.Product>;
export type Refund = Wire<Stripe.Refund>;
export type Session = Wire<Stripe.Checkout.Session>;
export type Subscription = Wire<Stripe.Subscription>;
export type SubscriptionItem = Wire<Stripe.SubscriptionItem>;
export type TestClock = Wire<Stripe.TestHelpers.TestClock>;
export type WebhookEndpoint = Wire<Stripe.WebhookEndpoint>;

/** Returns the business time of the current work as Unix time in whole seconds, Stripe's unit of time. */
export function nowSeconds(): number {
  return Math.floor(currentMoment().at.getTime() / 1000);
}

/** Returns the test clock of the current work; null if it follows the sandbox's clock. */
export function currentTestClock(): string | null {
  return currentMoment().clock || null;
}

/** Returns a new id such as `sub_1Q…`. */
export function newId(prefix: string, length = 24): string {
  return `${prefix}_${randomText(length)}`;
}

/** Returns a list in the API's form. */
export function toList<T>(url: string, data: T[], hasMore = false) {
  return { object: 'list' as const, url, has_more: hasMore, data };
}
