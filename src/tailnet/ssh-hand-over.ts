import { withDeadline } from '../http-client/deadline.ts';
import type { Dial } from './agent-health.ts';
import type { HandOver, Tenant } from './hand-over.ts';
import { type ServerLogin, startWaitingProgram, type WaitingProgram } from './waiting-program.ts';

/** A server that an order may claim any moment, or has just claimed. */
export interface WaitingServer {
  tailnetIp: string;
  /** Whether an open path is of use to it; of a server that is claimed only an open one is. */
  isReady: boolean;
  login(): Omit<ServerLogin, 'tailnetIp'>;
}

export interface SshHandOver {
  handOver: HandOver;
  /** Opens paths to these servers and closes all others. Returns at once. */
  keepOpen(servers: readonly WaitingServer[]): void;
  close(): void;
}

/** Open paths of one worker. Further servers are handed over by a new connection, half a second later. */
const MOST_PATHS = 64;
const OPENING_AT_ONCE = 4;
const AGAIN_MS = 5_000;
/** How long a server may take that has the path open; after that a new connection is tried. */
const OPEN_PATH_SECONDS = 1.5;
const NEW_PATH_SECONDS = 4;

interface Path {
  /** Settles once it is open, or could not be opened. */
  opened: Promise<void>;
  program: WaitingProgram | undefined;
  hostPublicKeys: readonly string[];
  /** When it may be opened again, if it could not be, or if it was cut. */
  openAt: number;
}

/**
 * Hands servers over by SSH. For a server that waits, the program that does it has been started already and
 * waits for its input: at the claim only the agent's id and host key have to be sent.
 */
export function createSshHandOver(dial: Dial, { againMs = AGAIN_MS } = {}): SshHandOver {
  const stopping = new AbortController();
  const paths = new Map<string, Path>();
  let opening = 0;

  const open = async (path: Path, login: ServerLogin) => {
    opening += 1;
    try {
      const program = await startWaitingProgram(dial, login, { signal: stopping.signal });
      // It may have been closed or taken meanwhile.
      if (paths.get(login.tailnetIp) === path) path.program = program;
      else program.close();
    } catch {
      // The check of the slot's health says more.
    } finally {
      opening -= 1;
      path.openAt = Date.now() + againMs;
    }
  };
  const forget = (tailnetIp: string) => {
    paths.get(tailnetIp)?.program?.close();
    paths.delete(tailnetIp);
  };
  const begin = ({ tailnetIp, isReady, login }: WaitingServer) => {
    const known = paths.get(tailnetIp);
    if (!isReady || known?.program?.isOpen || (known !== undefined && Date.now() < known.openAt)) return;
    if (opening >= OPENING_AT_ONCE || (known === undefined && paths.size >= MOST_PATHS)) return;
    const access = { ...login(), tailnetIp };
    const path: Path = {
      opened: Promise.resolve(),
      program: undefined,
      hostPublicKeys: access.hostPublicKeys,
      openAt: Infinity,
    };
    paths.set(tailnetIp, path);
    path.opened = open(path, access);
  };
  /**
   * Takes the open path to the server that shows this host key, or the one that is being opened: an address
   * may have another server by now.
   */
  const take = async (tailnetIp: string, hostPublicKey: string, signal: AbortSignal) => {
    const path = paths.get(tailnetIp);
    if (path?.hostPublicKeys.includes(hostPublicKey) !== true) {
      forget(tailnetIp);
      return undefined;
    }
    await withDeadline({ seconds: OPEN_PATH_SECONDS, signal }, () => path.opened).catch(() => {});
    signal.throwIfAborted();
    paths.delete(tailnetIp);
    if (path.program?.isOpen) return path.program;
    path.program?.close();
    return undefined;
  };

  return {
    handOver: async (tailnetIp, tenant, signal) => {
      const line = toLine(tenant);
      const waiting = await take(tailnetIp, tenant.hostPublicKey, signal);
      if (waiting !== undefined) {
        const sent = await tryToGive(waiting, line, signal);
        if (sent) return;
      }
      const login = toLogin(tailnetIp, tenant);
      const program = await startWaitingProgram(dial, login, { signal, seconds: NEW_PATH_SECONDS });
      await program.give(line, { signal, seconds: NEW_PATH_SECONDS });
    },
    keepOpen: (servers) => {
      const wanted = new Set(servers.map(({ tailnetIp }) => tailnetIp));
      for (const tailnetIp of [...paths.keys()]) if (!wanted.has(tailnetIp)) forget(tailnetIp);
      if (!stopping.signal.aborted) for (const server of servers) begin(server);
    },
    close: () => {
      stopping.abort(new Error('The worker is stopping'));
      for (const tailnetIp of [...paths.keys()]) forget(tailnetIp);
    },
  };
}

/** A path that was open may be dead. What it may have begun, the next one repeats. */
async function tryToGive(program: WaitingProgram, line: string, signal: AbortSignal): Promise<boolean> {
  try {
    await program.give(line, { signal, seconds: OPEN_PATH_SECONDS });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** What ansible/roles/agent/files/hand-over.py reads. */
const toLine = ({ agentId, nextHostPrivateKey, nextHostPublicKey }: Tenant): string =>
  JSON.stringify({ agentId, hostPrivateKey: nextHostPrivateKey, hostPublicKey: nextHostPublicKey });

/** The server shows the slot's host key, or the agent's if an attempt was killed after it was replaced. */
function toLogin(tailnetIp: string, tenant: Tenant): ServerLogin {
  const { sshPrivateKey, hostPublicKey, nextHostPublicKey } = tenant;
  return { tailnetIp, sshPrivateKey, hostPublicKeys: [hostPublicKey, nextHostPublicKey] };
}
