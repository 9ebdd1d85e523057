/**
 * The states of an agent, in lifecycle order. docs/states.md shows the same picture; a test compares them.
 */
export const AGENT_STATUSES = [
  'requested',
  'provisioning',
  'running',
  'stopping',
  'stopped',
  'suspended',
  'failed',
  'destroying',
  'destroyed',
] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

export const HEALTHS = ['unknown', 'healthy', 'unhealthy'] as const;
export type Health = (typeof HEALTHS)[number];

/** Where a provision stands, in order. */
export const AGENT_STEPS = [
  'queued',
  'creating_server',
  'joining_network',
  'configuring',
  'verifying',
  'running',
] as const;
export type AgentStep = (typeof AGENT_STEPS)[number];

/**
 * The kinds that exist are those defined in src/runbooks; the database holds their shape alone (migration
 * 0011).
 */
export const OPERATION_KIND = /^[a-z][a-z-]{0,30}$/;
export type OperationKind = string;

/** The names of failures, as `operations.failure_code` holds them. */
export const FAILURE_CODE = /^[a-z][a-z-]{0,59}$/;

/**
 * In lifecycle order: queued → active → succeeded | failed | cancelled; a failed try with tries left goes
 * active → queued.
 */
export const OPERATION_STATUSES = ['queued', 'active', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationStatus = (typeof OPERATION_STATUSES)[number];
