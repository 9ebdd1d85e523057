import type { Retryable } from '../operations/retry-latest.ts';
import { type Html, html } from './html.ts';

/** Renders the button that retries exactly this operation, and says of which kind it is. */
export function retryButton({ agent_id: agentId, operation_id: operationId, kind }: Retryable): Html {
  return html`<form method="post" action="/agents/${agentId}/retry"><input type="hidden" name="operationId" value="${operationId}"><button id="retry-${agentId}" class="primary">Retry ${kind}<span class="visually-hidden"> of ${agentId}</span></button></form>
`;
}
