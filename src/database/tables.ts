import type { Generated, GeneratedAlways } from 'kysely';
import type { ExecutorName } from '../config/executor-name.ts';
import type { AdoptionTables } from './adoption-tables.ts';
import type { AgentSnapshotTables } from './agent-snapshot-tables.ts';
import type { AuditChainTable, AuditHeadTable, AuditLogTable, ReceiptTable } from './audit-tables.ts';
import type {
  BillingRunTable,
  FindingTable,
  SubscriptionTable,
  UnresolvedSignalTable,
} from './billing-tables.ts';
import type {
  FoundationTable,
  IdempotencyKeyTable,
  RunCancellationTable,
  TailnetJoinNameTable,
} from './bookkeeping-tables.ts';
import type { CanaryTables } from './canary-tables.ts';
import type {
  Defaulted,
  DefaultedJson,
  DefaultTimestamp,
  Json,
  NullableJson,
  Timestamp,
} from './column-types.ts';
import type { HistoryTables } from './history-tables.ts';
import type { ImageTables } from './image-tables.ts';
import type { InstallationTable } from './installation-table.ts';
import type { KeyTables } from './key-tables.ts';
import type { LimitTables } from './limit-tables.ts';
import type { NoticeDeliveryTable, NoticeTable } from './notice-tables.ts';
import type { PeopleTables } from './people-tables.ts';
import type { HetznerProjectTable } from './project-table.ts';
import type { ProposalTables } from './proposal-table.ts';
import type { CheckTable, HealthCheckTable, SweepTable, WorkerTable } from './reconcile-tables.ts';
import type { RecoveryTables } from './recovery-tables.ts';
import type { SlotTables } from './slot-tables.ts';
import type { TelemetryTables } from './telemetry-tables.ts';
import type {
  AgentStatus,
  AgentStep,
  Health,
  HoldReason,
  OperationKind,
  OperationStatus,
} from './vocabulary.ts';

/** The tables as Kysely sees them; `migrations/` creates them. All times are `timestamptz`. */
export interface Tables
  extends HistoryTables,
    LimitTables,
    SlotTables,
    TelemetryTables,
    ProposalTables,
    ImageTables,
    AgentSnapshotTables,
    AdoptionTables,
    KeyTables,
    CanaryTables,
    RecoveryTables,
    PeopleTables {
  installation: InstallationTable;
  stripe_events: StripeEventTable;
  orders: OrderTable;
  agents: AgentTable;
  holds: HoldTable;
  operations: OperationTable;
  audit_log: AuditLogTable;
  foundations: FoundationTable;
  hetzner_projects: HetznerProjectTable;
  idempotency_keys: IdempotencyKeyTable;
  checks: CheckTable;
  workers: WorkerTable;
  sweeps: SweepTable;
  health_checks: HealthCheckTable;
  run_cancellations: RunCancellationTable;
  tailnet_join_names: TailnetJoinNameTable;
  subscriptions: SubscriptionTable;
  unresolved_signals: UnresolvedSignalTable;
  findings: FindingTable;
  billing_runs: BillingRunTable;
  notices: NoticeTable;
  notice_deliveries: NoticeDeliveryTable;
  audit_chain: AuditChainTable;
  audit_head: AuditHeadTable;
  receipts: ReceiptTable;
}

export interface StripeEventTable {
  id: string;
  type: string;
  livemode: boolean;
  object_id: string | null;
  payload: Json<Record<string, unknown>>;
  /** Acted on, irrelevant, a repeat of a known order, or in need of a person. */
  outcome: 'acted' | 'ignored' | 'duplicate' | 'attention';
  reason: string | null;
  created_at: Timestamp;
  received_at: DefaultTimestamp;
}

export interface OrderTable {
  session_id: string;
  stripe_event_id: string;
  agent_id: string | null;
  subscription_id: string | null;
  customer_id: string | null;
  metadata: Json<Record<string, unknown>>;
  attention: string | null;
  created_at: DefaultTimestamp;
}

export interface AgentTable {
  agent_id: string;
  user_id: string;
  project: Defaulted<string>;
  region: string;
  location: string;
  plan: string;
  status: Defaulted<AgentStatus>;
  step: AgentStep | null;
  health: Defaulted<Health>;
  /** Not null exactly while `health` is unhealthy; the database ensures it. */
  unhealthy_since: Timestamp | null;
  stack_name: Generated<string>;
  server_id: string | null;
  server_name: string | null;
  /** The verified snapshot that is kept in place of the server, from just before the server is deleted. */
  snapshot_id: string | null;
  ipv4: string | null;
  ipv6: string | null;
  tailnet_ip: string | null;
  /** The control server's id of the agent's device; null until it is known. */
  tailnet_node_id: string | null;
  tailnet_name: string | null;
  subscription_id: string | null;
  error: string | null;
  /** Why the rollback of a failed provision failed; null once it has succeeded. */
  rollback_error: string | null;
  /**
   * The stack's inputs as last applied, without secrets; null until the first provision has prepared them.
   */
  inputs: NullableJson<Record<string, unknown>> | null;
  /** The agent's own key pairs, encrypted (src/agents/secrets.ts). */
  secrets: Buffer | null;
  /** Nobody may destroy it until this is false. */
  protected: Defaulted<boolean>;
  /** Since when it keeps the plan that a person has chosen, and against which prices (src/billing). */
  plan_chosen_at: Timestamp | null;
  plan_chosen_prices: string | null;
  /** What the dashboard's search looks through, in lower case. */
  search: GeneratedAlways<string>;
  /** As in `inputs`. */
  server_type: GeneratedAlways<string | null>;
  created_at: DefaultTimestamp;
  updated_at: DefaultTimestamp;
}

/** What keeps an agent from running or from being deleted; at most one row per reason. */
export interface HoldTable {
  agent_id: string;
  reason: HoldReason;
  /** Business time (src/processes/clock.ts). */
  since: Timestamp;
  /** Who placed it, as in the audit log. */
  by_whom: string;
  note: string | null;
}

/** Validated by the schema of the operation's kind. */
export type OperationParameters = Record<string, unknown>;

export interface OperationTable {
  operation_id: Generated<string>;
  sequence: Generated<number>;
  agent_id: string;
  kind: OperationKind;
  status: Defaulted<OperationStatus>;
  /** What the request specified beyond the kind, e.g. the plan of a resize. */
  parameters: DefaultedJson<OperationParameters>;
  step: string | null;
  attempt: Defaulted<number>;
  retry_count: Defaulted<number>;
  lost_count: Defaulted<number>;
  max_retries: Defaulted<number>;
  executor: ExecutorName;
  priority: Defaulted<number>;
  stripe_event_id: string | null;
  workflow_run_id: string | null;
  error: string | null;
  /** Why no worker claims the queued operation: the problems with their configuration. */
  waits_for: string | null;
  /**
   * The attempt has found its Hetzner project full: it wants a slot's place, or one was freed for it. A
   * trigger clears it when the next attempt begins, and at the end.
   */
  room: 'wanted' | 'freed' | null;
  failed_step: string | null;
  /** Names the failure behind `error` if the next attempt handles it specially. */
  failure_code: string | null;
  cancel_requested: Defaulted<boolean>;
  /** It removes nothing before Stripe was asked once more whether it is still demanded. */
  asks_again: Defaulted<boolean>;
  /** The worker that holds the lease while `status` is active. */
  worker_id: string | null;
  lease_until: Timestamp | null;
  run_after: DefaultTimestamp;
  claimed_at: Timestamp | null;
  last_heartbeat_at: Timestamp | null;
  /** When the current attempt was dispatched to GitHub; null if it was not. */
  dispatched_at: Timestamp | null;
  /** Consecutive failed dispatches; `error_before_dispatch` keeps the `error` from before them. */
  dispatch_failures: Defaulted<number>;
  error_before_dispatch: string | null;
  /** When GitHub was last asked about the workflow run. */
  polled_at: Timestamp | null;
  /**
   * The outcome that the runner has recorded (executors/github-actions/result.ts). It takes effect when the
   * run reports its end.
   */
  result: NullableJson<Record<string, unknown>> | null;
  /** The callback that ended the last attempt, to recognize a repeat of it. */
  report: NullableJson<Record<string, unknown>> | null;
  created_at: DefaultTimestamp;
  started_at: Timestamp | null;
  finished_at: Timestamp | null;
  updated_at: DefaultTimestamp;
}
