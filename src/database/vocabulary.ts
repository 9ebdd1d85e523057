/**
 * The states of an agent, in lifecycle order. docs/states.md lists the same states; a test compares them.
 */
export const AGENT_STATUSES = [
  'requested',
  'provisioning',
  'running',
  'stopping',
  'stopped',
  'suspended',
  'hibernated',
  'failed',
  'destroying',
  'destroyed',
] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

/** Why an agent may not run, or may not be deleted. */
export const HOLD_REASONS = ['payment', 'dispute', 'abuse', 'operator'] as const;
export type HoldReason = (typeof HOLD_REASONS)[number];

export const HEALTHS = ['unknown', 'healthy', 'unhealthy'] as const;
export type Health = (typeof HEALTHS)[number];

/** The steps of a provision, in order. */
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
 * The form of a kind's name. src/runbooks defines which kinds exist; the database checks only their form
 * (migration 0011).
 */
export const OPERATION_KIND = /^[a-z][a-z-]{0,30}$/;
export type OperationKind = string;

/** The form of a failure's name, as in `operations.failure_code`. */
export const FAILURE_CODE = /^[a-z][a-z-]{0,59}$/;

/**
 * In lifecycle order: queued → active → succeeded | failed | cancelled; a failed try with tries left goes
 * active → queued.
 */
export const OPERATION_STATUSES = ['queued', 'active', 'succeeded', 'failed', 'cancelled'] as const;
export type OperationStatus = (typeof OPERATION_STATUSES)[number];

/** What outgoing notices tell. docs/notices.md lists the same types; a test compares them. */
export const NOTICE_TYPES = [
  'agent.running',
  'agent.failed',
  'agent.payment_failed',
  'agent.will_suspend',
  'agent.suspended',
  'agent.resumed',
  'agent.will_delete',
  'agent.deleted',
  'order.attention',
  'breaker.tripped',
  'fleet.mismatch',
] as const;
export type NoticeType = (typeof NOTICE_TYPES)[number];

/** Limits on what the service changes by itself, in the order in which they are locked (src/limits). */
export const BREAKERS = ['creates', 'destroys', 'spend', 'suspensions'] as const;
export type BreakerName = (typeof BREAKERS)[number];

/** Why something needs a person, as the API answers it. Its clients rely on there being no others. */
export const ATTENTION_CLASSES = [
  'order',
  'failed',
  'unhealthy',
  'breaker',
  'mismatch',
  'configuration',
] as const;
/** The page also has what programs propose, which the API lists apart. */
export type AttentionClass = (typeof ATTENTION_CLASSES)[number] | 'proposal';

export { ROLES, type Role } from '../config/roles.ts';

/** How a session was opened. */
export const SIGN_IN_METHODS = ['token', 'oidc', 'tailscale'] as const;
export type SignInMethod = (typeof SIGN_IN_METHODS)[number];

/**
 * Whom the audit log names besides people: the holders of the installation's tokens, and parts of the
 * service. Nobody may be called so (migrations 0031 and 0052).
 */
export const ACTORS = ['operator', 'viewer', 'program', 'service', 'stripe', 'billing', 'canary'] as const;
export type Actor = (typeof ACTORS)[number];
