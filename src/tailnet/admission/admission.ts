import { PermanentError, RetryableError } from '../../errors.ts';
import type { Dial } from '../agent-health.ts';
import { REFUSALS } from './refusals.ts';
import { AccessError, runScript, type ScriptTarget } from './run-script.ts';
import { type Joining, renderAdmission, renderUndo } from './scripts.ts';
import { UNTIL_RESTART } from './what-it-writes.ts';

export { AccessError } from './run-script.ts';
export type { Joining } from './scripts.ts';

/** A server that was made by hand, over its public address or over the tailnet. */
export interface AdmittedServer extends ScriptTarget {
  serverId: string;
  /** Whether the address is one of the tailnet. */
  isOnTailnet: boolean;
}

/** How servers that were made by hand join the tailnet, and leave it. Each call may be repeated. */
export interface Admission {
  /** Whether the service may log in. @throws AccessError, PermanentError */
  check(server: AdmittedServer, signal: AbortSignal): Promise<void>;
  /** Lets the server join. @throws AccessError, PermanentError, RetryableError */
  admit(server: AdmittedServer, joining: Joining, signal: AbortSignal): Promise<void>;
  /** Gives the server its own settings back. @throws as `admit` */
  undo(server: AdmittedServer, signal: AbortSignal): Promise<void>;
}

/** What the log says to its owner after an undo. */
export const UNDONE = `The server has its own settings again. Packages stay. If the playbook had run, ${UNTIL_RESTART.join(' and ')} stay 1 until it restarts`;

const CHECK_SECONDS = 20;
/** It may have to install Tailscale. */
const ADMIT_SECONDS = 300;
const UNDO_SECONDS = 60;

/** `dialPublic`, `dialTailnet`: how this process reaches addresses of either kind. */
export function createSshAdmission({
  dialPublic,
  dialTailnet,
}: Record<'dialPublic' | 'dialTailnet', Dial>): Admission {
  const run = (server: AdmittedServer, script: string, seconds: number, signal: AbortSignal) =>
    runScript(server.isOnTailnet ? dialTailnet : dialPublic, server, script, {
      seconds,
      signal,
      refusals: REFUSALS,
    });
  return {
    check: (server, signal) => run(server, 'true\n', CHECK_SECONDS, signal),
    admit: (server, joining, signal) => run(server, renderAdmission(joining), ADMIT_SECONDS, signal),
    undo: (server, signal) => run(server, renderUndo(), UNDO_SECONDS, signal),
  };
}

/** Simulated machines have no SSH: the sandbox lets them join. `address`: of a machine's health. */
export function createSimulatedAdmission(address: (tailnetIp: string) => string): Admission {
  const ask = async (method: string, { serverId }: AdmittedServer, signal: AbortSignal, body?: object) => {
    const url = new URL(`../servers/${serverId}/tailnet`, address('0.0.0.0'));
    const answer = await fetch(url, {
      method,
      signal,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const { error = '' } = (await answer.json().catch(() => ({}))) as { error?: string };
    if (answer.ok) return;
    const text = `The machine of server ${serverId} answered ${answer.status}: ${error}`;
    if ([403, 503].includes(answer.status)) throw new AccessError(text, { isRefused: answer.status === 403 });
    throw answer.status === 409 ? new PermanentError(text) : new RetryableError(text);
  };
  return {
    check: (server, signal) => ask('GET', server, signal),
    admit: (server, { joinName, tailnetKey }, signal) =>
      ask('PUT', server, signal, { hostname: joinName, authKey: tailnetKey }),
    undo: (server, signal) => ask('DELETE', server, signal),
  };
}
