import { z } from 'zod';
import { HOLD_REASONS, type Hold } from '../../agents/holds.ts';
import { agentIdSchema } from '../../agents/new-agent.ts';
import { AGENT_STATUSES, AGENT_STEPS, HEALTHS } from '../../agents/states.ts';
import type { AgentRow } from '../../agents/store.ts';
import { BILLING_STATES } from '../../billing/decision.ts';
import type { SubscriptionRow } from '../../billing/subscriptions.ts';

export const agentParams = z.object({ agentId: agentIdSchema });

const text = z.string().nullable();

const holdJson = z
  .object({
    reason: z.enum(HOLD_REASONS),
    since: z.iso.datetime(),
    by: z.string(),
    note: text,
  })
  .meta({ id: 'Hold' });

const date = z.iso.datetime().nullable();

const billingJson = z
  .object({
    subscriptionId: z.string(),
    state: z.enum(BILLING_STATES),
    unpaidSince: date,
    suspendAt: date,
    hibernateAt: date,
    deleteAt: date,
    cancelAt: date,
  })
  .meta({ id: 'Billing' });

export const agentJson = z
  .object({
    agentId: z.string(),
    userId: z.string(),
    project: z.string().meta({ description: 'The Hetzner project of its server' }),
    region: z.string(),
    location: z.string(),
    plan: z.string(),
    status: z.enum(AGENT_STATUSES),
    step: z.enum(AGENT_STEPS).nullable(),
    health: z.enum(HEALTHS),
    unhealthySince: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When it stopped answering; null unless it is unhealthy' }),
    stackName: z.string(),
    serverId: text,
    serverName: text,
    ipv4: text,
    ipv6: text,
    tailnetIp: text,
    tailnetName: text,
    subscriptionId: text,
    holds: z.array(holdJson).meta({ description: 'What keeps it from running, or from being deleted' }),
    protected: z.boolean().meta({ description: 'Nobody may destroy it' }),
    planChosenAt: date.meta({
      description:
        'Since when it keeps the plan of a person’s resize, until its price changes; null without one',
    }),
    billing: billingJson.nullable().meta({
      description: 'How its subscription stands; null without one, and until it was read for the first time',
    }),
    error: text,
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Agent' });

export type AgentJson = z.input<typeof agentJson>;

/** The error to show: if the rollback failed too, resources may still be billed. */
function toErrorText({ status, error, rollback_error: rollbackError, inputs }: AgentRow): string | null {
  if (status !== 'failed' || rollbackError === null) return error;
  if (inputs?.adopting !== undefined)
    return `${error}\nThe server could not be given back whole yet: ${rollbackError}. It is tried again every ten minutes.`;
  return `${error}\nSome of its resources could not be removed and may be billed: ${rollbackError}. The rollback is retried every ten minutes.`;
}

/** An agent as API clients see it, without its secrets and its stack's inputs. */
export function presentAgent(
  row: AgentRow,
  { holds, subscription }: { holds: readonly Hold[]; subscription: SubscriptionRow | undefined },
): AgentJson {
  return {
    agentId: row.agent_id,
    userId: row.user_id,
    project: row.project,
    region: row.region,
    location: row.location,
    plan: row.plan,
    status: row.status,
    step: row.step,
    health: row.health,
    unhealthySince: row.unhealthy_since?.toISOString() ?? null,
    stackName: row.stack_name,
    serverId: row.server_id,
    serverName: row.server_name,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    tailnetIp: row.tailnet_ip,
    tailnetName: row.tailnet_name,
    subscriptionId: row.subscription_id,
    holds: holds.map(({ reason, since, by, note }) => ({ reason, since: since.toISOString(), by, note })),
    protected: row.protected,
    planChosenAt: row.plan_chosen_at?.toISOString() ?? null,
    billing: subscription === undefined ? null : presentBilling(subscription),
    error: toErrorText(row),
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function presentBilling(row: SubscriptionRow): AgentJson['billing'] {
  return {
    subscriptionId: row.subscription_id,
    state: BILLING_STATES.find((state) => state === row.state) ?? 'unknown',
    unpaidSince: row.unpaid_since?.toISOString() ?? null,
    suspendAt: row.suspend_at?.toISOString() ?? null,
    hibernateAt: row.hibernate_at?.toISOString() ?? null,
    deleteAt: row.delete_at?.toISOString() ?? null,
    cancelAt: row.cancel_at?.toISOString() ?? null,
  };
}
