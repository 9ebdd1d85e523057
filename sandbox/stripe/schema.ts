import type { SandboxSchema } from '../database.ts';

/**
 * Tables of the sandbox's Stripe. `body` is an object as the API answers it; `hidden` is what belongs to it and is not
 * part of it (a checkout session's line items).
 */
export const stripeSchema: SandboxSchema = {
  area: 'stripe',
  version: 1,
  statements: [
    `CREATE TABLE IF NOT EXISTS stripe_objects (
      id text PRIMARY KEY,
      number bigint GENERATED ALWAYS AS IDENTITY,
      object text NOT NULL,
      body jsonb NOT NULL,
      hidden jsonb
    )`,
    'CREATE UNIQUE INDEX IF NOT EXISTS stripe_objects_in_order ON stripe_objects (object, number)',
    'CREATE INDEX IF NOT EXISTS stripe_objects_body ON stripe_objects USING gin (body jsonb_path_ops)',
    `CREATE TABLE IF NOT EXISTS stripe_events (
      id text PRIMARY KEY,
      number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
      type text NOT NULL,
      created bigint NOT NULL,
      body jsonb NOT NULL,
      delivered_at timestamptz
    )`,
    'CREATE INDEX IF NOT EXISTS stripe_events_undelivered ON stripe_events (number) WHERE delivered_at IS NULL',
    `CREATE TABLE IF NOT EXISTS stripe_deliveries (
      event_id text NOT NULL REFERENCES stripe_events,
      try int NOT NULL,
      at timestamptz NOT NULL,
      url text NOT NULL,
      status int,
      error text,
      PRIMARY KEY (event_id, try)
    )`,
    `CREATE TABLE IF NOT EXISTS stripe_idempotency (
      key text PRIMARY KEY,
      fingerprint text NOT NULL,
      answer jsonb NOT NULL,
      created_at timestamptz NOT NULL
    )`,
  ],
};
