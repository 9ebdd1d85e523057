import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { Json, SandboxSchema } from '../schema.ts';
import type { Event } from './wire.ts';

export interface StripeTables {
  stripe_objects: StripeObjectTable;
  stripe_events: StripeEventTable;
  stripe_deliveries: StripeDeliveryTable;
  stripe_idempotency: StripeIdempotencyTable;
  stripe_settings: StripeSettingTable;
}

export interface StripeObjectTable {
  id: string;
  /** A bigint, which the driver returns as text. */
  number: GeneratedAlways<string>;
  object: string;
  /** The object as the API shows it. */
  body: ColumnType<unknown, string, string>;
  /** Data of the object that the API does not show, such as a checkout session's line items. */
  hidden: ColumnType<unknown, string | null, string | null>;
  /** The test clock that the object follows; empty for the sandbox's own clock. */
  clock: Generated<string>;
  /** When the object falls due, in Unix seconds of its clock. A bigint, which the driver returns as text. */
  next_at: ColumnType<string | null, number | null, number | null>;
  /** How often in a row what was due has failed. */
  failures: Generated<number>;
}

/** Whether webhooks are pending follows from `delivered_at`. */
export type EventBody = Omit<Event, 'pending_webhooks'>;

export interface StripeEventTable {
  id: string;
  /** A bigint, which the driver returns as text. */
  number: GeneratedAlways<string>;
  type: string;
  /** A bigint, which the driver returns as text. */
  created: ColumnType<string, number, number>;
  body: Json<EventBody>;
  delivered_at: Date | null;
  /** In real time, unlike `created`: deliveries follow no clock. */
  stored_at: Generated<Date>;
}

export interface StripeDeliveryTable {
  event_id: string;
  try: number;
  /** The id of the endpoint; empty for the sandbox's own. */
  endpoint: Generated<string>;
  at: Date;
  url: string;
  status: number | null;
  error: string | null;
}

export interface StripeIdempotencyTable {
  key: string;
  fingerprint: string;
  answer: Json<object>;
  created_at: Date;
}

/** Settings of the account that its dashboard has, by name. */
export interface StripeSettingTable {
  name: string;
  value: Json<object>;
}

/** Tables of the sandbox's Stripe. */
export const stripeSchema: SandboxSchema = {
  area: 'stripe',
  version: 3,
  statements: [
    `create table if not exists stripe_objects (
      id text primary key,
      number bigint generated always as identity,
      object text not null,
      body jsonb not null,
      hidden jsonb
    )`,
    'create unique index if not exists stripe_objects_in_order on stripe_objects (object, number)',
    'create index if not exists stripe_objects_body on stripe_objects using gin (body jsonb_path_ops)',
    `alter table stripe_objects
      add column if not exists clock text not null default '',
      add column if not exists next_at bigint,
      add column if not exists failures int not null default 0`,
    `create index if not exists stripe_objects_due on stripe_objects (clock, next_at, number)
      where next_at is not null`,
    `create table if not exists stripe_events (
      id text primary key,
      number bigint generated always as identity unique,
      type text not null,
      created bigint not null,
      body jsonb not null,
      delivered_at timestamptz
    )`,
    'alter table stripe_events add column if not exists stored_at timestamptz not null default now()',
    'create index if not exists stripe_events_undelivered on stripe_events (number) where delivered_at is null',
    `create table if not exists stripe_deliveries (
      event_id text not null references stripe_events,
      try int not null,
      at timestamptz not null,
      url text not null,
      status int,
      error text,
      primary key (event_id, try)
    )`,
    "alter table stripe_deliveries add column if not exists endpoint text not null default ''",
    `create table if not exists stripe_idempotency (
      key text primary key,
      fingerprint text not null,
      answer jsonb not null,
      created_at timestamptz not null
    )`,
    'create table if not exists stripe_settings (name text primary key, value jsonb not null)',
  ],
};
