import type { Generated } from 'kysely';
import type { DefaultedJson, Numeric, Timestamp } from './column-types.ts';
import type { BreakerName, OperationKind } from './vocabulary.ts';

export interface LimitTables {
  breakers: BreakerTable;
  held_changes: HeldChangeTable;
  changes: ChangeTable;
  plan_servers: PlanServerTable;
  server_prices: ServerPriceTable;
}

/** A limit on the changes that the service makes by itself, and whether it holds them back now. */
export interface BreakerTable {
  name: BreakerName;
  /** Changes in its period; null: no such limit. */
  limit_count: number | null;
  /** Percent of the fleet in its period, but never fewer than `limit_least` changes. */
  limit_percent: Numeric | null;
  limit_least: number | null;
  /** Euros an hour of all servers together. */
  limit_euros: Numeric | null;
  /** Null while it is closed. */
  tripped_at: Timestamp | null;
  /** Why it tripped. */
  cause: string | null;
  /** When a person last let changes go. Null until then. */
  approved_at: Timestamp | null;
  /** How often it has tripped. */
  trips: Generated<number>;
}

/** A change that waits for a breaker. It is no operation yet, and marks nothing on its agent. */
export interface HeldChangeTable {
  held_change_id: Generated<number>;
  agent_id: string;
  kind: OperationKind;
  breaker: BreakerName;
  parameters: DefaultedJson<Record<string, unknown>>;
  /** Whom the audit log names once it goes. */
  actor: string;
  cause: string;
  stripe_event_id: string | null;
  since: Timestamp;
  /** When a person let it go; it goes as soon as the limit has room for it. */
  approved_at: Timestamp | null;
}

/** A change that the service made by itself. Breakers count these rows. */
export interface ChangeTable {
  change_id: Generated<number>;
  agent_id: string;
  kind: OperationKind;
  cause: string;
  at: Timestamp;
  operation_id: string | null;
}

/** A server type that a plan may have in a location, as BILLING_PLANS says. */
export interface PlanServerTable {
  plan: string;
  location: string;
  server_type: string;
}

/** What a server type costs in a location, as Hetzner last said. */
export interface ServerPriceTable {
  server_type: string;
  location: string;
  euros_per_hour: Numeric;
  fetched_at: Timestamp;
}
