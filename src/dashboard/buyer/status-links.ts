import { createTokenSigner } from '../../http/signed-token.ts';
import type { Secret } from '../../secret.ts';

const VALID_SECONDS = 7 * 24 * 3600;

/** Links to the buyers' status pages. Each link opens one agent's page until it expires. */
export interface StatusLinks {
  statusUrl(agentId: string): string;
  isValid(agentId: string, token: string): boolean;
}

export function createStatusLinks({
  apiToken,
  publicUrl,
}: {
  apiToken: Secret;
  publicUrl: string;
}): StatusLinks {
  const signer = createTokenSigner(apiToken, 'buyer status');
  return {
    statusUrl: (agentId) =>
      `${publicUrl}/status/${agentId}?token=${encodeURIComponent(signer.sign(agentId, VALID_SECONDS))}`,
    isValid: (agentId, token) => signer.verify(agentId, token),
  };
}
