import type { AgentWatch } from './agent-watch.ts';
import type { ServiceProcess } from './service-process.ts';
import type { Side } from './side.ts';
import { paidSession, signEvent } from './stripe-events.ts';

/**
 * This service end to end. A provision begins before the signed event is posted and ends when the agent's
 * committed row says `running`, which requires a healthy answer; a destroy begins before the request and ends
 * with `destroyed`.
 */
export function thisService(service: ServiceProcess, watch: AgentWatch, region: string): Side {
  return {
    name: 'this service',
    provision: async (agentId) => {
      const event = paidSession({ agentId, userId: 'bench', region });
      await postStripeEvent(service, event);
      await watch.until(agentId, ({ status }) => status === 'running');
    },
    destroy: async (agentId) => {
      await askForOperation(service, agentId, 'destroy');
      await watch.until(agentId, ({ status }) => status === 'destroyed');
    },
    tidy: async () => {},
  };
}

async function postStripeEvent(
  { url, sandbox }: ServiceProcess,
  event: Parameters<typeof signEvent>[0],
): Promise<void> {
  const { body, signature } = signEvent(event, sandbox.stripeWebhookSecret);
  const response = await fetch(`${url}/api/webhooks/stripe`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'stripe-signature': signature },
    body,
  });
  if (!response.ok) throw new Error(`The webhook answered ${response.status}: ${await response.text()}`);
  await response.body?.cancel();
}

/** Requests an operation as the operator's clients do. @throws Error if it is not accepted */
export async function askForOperation(
  { url, sandbox }: ServiceProcess,
  agentId: string,
  kind: 'refresh' | 'destroy',
): Promise<void> {
  const response = await fetch(`${url}/api/agents/${agentId}/${kind}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandbox.apiToken}` },
  });
  const text = await response.text();
  if (response.status !== 202)
    throw new Error(`Requesting the ${kind} of ${agentId} failed with ${response.status}: ${text}`);
}
