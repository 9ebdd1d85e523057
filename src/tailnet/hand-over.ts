import { RetryableError } from '../errors.ts';

/** What a configured server learns when it gets its agent. */
export interface Tenant {
  agentId: string;
  healthPort: number;
  /** The OpenSSH private key with which the service administers the server. */
  sshPrivateKey: string;
  /** The host key that it shows now. */
  hostPublicKey: string;
  /** The host key that it shows from then on. */
  nextHostPrivateKey: string;
  nextHostPublicKey: string;
}

/**
 * Writes the agent's file to a server that is configured already, replaces its host key, and starts the agent
 * with it. Repeating it changes nothing.
 */
export type HandOver = (tailnetIp: string, tenant: Tenant, signal: AbortSignal) => Promise<void>;

/** Simulated machines have no SSH: the sandbox keeps the agent's id for them. `address`: of their health. */
export function createSimulatedHandOver(address: (tailnetIp: string) => string): HandOver {
  return async (tailnetIp, { agentId }, signal) => {
    const answer = await fetch(new URL('tenant', address(tailnetIp)), {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ agentId }),
      signal,
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new RetryableError(`The machine at ${tailnetIp} answered ${answer.status}`);
  };
}
