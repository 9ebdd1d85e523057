/** The states of an agent, in lifecycle order. docs/states.md shows the same picture; a test compares them. */
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

export const OPERATION_KINDS = [
  'provision',
  'start',
  'stop',
  'restart',
  'refresh',
  'reconfigure',
  'resize',
  'rebuild',
  'rollback',
  'destroy',
] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** In lifecycle order: queued → active → succeeded | failed | cancelled; a failed try with tries left goes active → queued. */
export const OPERATION_STATUSES = ['queued', 'active', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationStatus = (typeof OPERATION_STATUSES)[number];
