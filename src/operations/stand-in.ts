import type { Selectable } from 'kysely';
import { parseRecordedInputs } from '../agents/inputs.ts';
import type { AgentRow } from '../agents/store.ts';
import type { SlotTable } from '../database/slot-tables.ts';
import type { OperationRow } from './rows.ts';

type Row = Selectable<SlotTable>;
type Output =
  | 'server_id'
  | 'server_name'
  | 'ipv4'
  | 'ipv6'
  | 'tailnet_ip'
  | 'tailnet_node_id'
  | 'tailnet_name';

/** Work on a server that is no agent's: a slot, or the build of an image. */
export interface OwnedWork
  extends Pick<
      Row,
      | 'project'
      | 'location'
      | 'plan'
      | 'work_id'
      | 'attempt'
      | 'tries'
      | 'worker_id'
      | 'lease_until'
      | 'run_after'
      | 'step'
      | 'error'
      | 'failure_code'
      | 'inputs'
      | 'secrets'
      | 'created_at'
      | 'updated_at'
    >,
    Partial<Pick<Row, Output>> {
  ownerId: string;
  /** Whether the server is being made; otherwise it is being removed. */
  makes: boolean;
}

/** The owner of a server as the steps see agents: its id takes the place of the agent's. */
export function standInAgent(row: OwnedWork): AgentRow {
  return {
    agent_id: row.ownerId,
    user_id: '',
    project: row.project,
    region: row.location,
    location: row.location,
    plan: row.plan,
    status: row.makes ? 'provisioning' : 'destroying',
    step: null,
    health: 'unknown',
    unhealthy_since: null,
    stack_name: row.ownerId,
    server_id: row.server_id ?? null,
    server_name: row.server_name ?? null,
    snapshot_id: null,
    ipv4: row.ipv4 ?? null,
    ipv6: row.ipv6 ?? null,
    tailnet_ip: row.tailnet_ip ?? null,
    tailnet_node_id: row.tailnet_node_id ?? null,
    tailnet_name: row.tailnet_name ?? null,
    subscription_id: null,
    error: row.error,
    rollback_error: null,
    inputs: parseRecordedInputs(row.inputs),
    secrets: row.secrets,
    protected: false,
    plan_chosen_at: null,
    plan_chosen_prices: null,
    search: '',
    server_type: null,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

const WAITS_FOR_NOTHING = { waits_for: null, room: null };

/** The work as the steps see operations. */
export function standInOperation(row: OwnedWork): OperationRow {
  return {
    operation_id: row.work_id,
    sequence: 0,
    agent_id: row.ownerId,
    kind: row.makes ? 'provision' : 'destroy',
    status: 'active',
    parameters: {},
    step: row.step,
    attempt: row.attempt,
    retry_count: row.tries,
    lost_count: 0,
    max_retries: 0,
    executor: 'local',
    priority: -2,
    stripe_event_id: null,
    workflow_run_id: null,
    error: row.error,
    ...WAITS_FOR_NOTHING,
    failed_step: null,
    failure_code: row.failure_code,
    cancel_requested: false,
    asks_again: false,
    worker_id: row.worker_id,
    lease_until: row.lease_until,
    run_after: row.run_after,
    claimed_at: null,
    last_heartbeat_at: null,
    dispatched_at: null,
    dispatch_failures: 0,
    error_before_dispatch: null,
    polled_at: null,
    result: null,
    report: null,
    created_at: row.created_at,
    started_at: null,
    finished_at: null,
    updated_at: row.updated_at,
  };
}
