import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Role } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { type Announced, announce, startAnnouncing } from '../keys/processes.ts';
import type { Log } from '../log.ts';
import { openPulumiState, type PulumiState } from '../pulumi/open-state.ts';
import { type RekeyDeps, startRekeying } from '../rekey/keeper.ts';
import { startMovingProviders } from '../rekey/providers.ts';
import { readRekeyStatus } from '../rekey/status.ts';
import type { Engine } from './engine.ts';

const TAKE_OUT =
  'The passphrase is changed: take PULUMI_CONFIG_PASSPHRASE_BEFORE out, nothing needs it any more.';

interface Parts {
  role: Role;
  connections: Pick<Connections, 'pulumi'>;
  log: Log;
  fail(error: Error): void;
}

/** How this process takes part in a change of the passphrase. */
export interface KeyFollowing {
  own: Announced;
  /** Announces it in the transaction that checks its passphrase, so that no change begins without it. */
  announceIn(trx: Transaction): Promise<void>;
  /** Announces it from then on, and follows a change. Without the new passphrase it ends itself. */
  follow(): { stop(): Promise<void> };
  /** What a person has to know at the start; undefined: nothing. */
  notice(): Promise<string | undefined>;
}

export function openKeyFollowing({ role, connections, log, fail }: Parts, database: Database): KeyFollowing {
  const { keyring } = connections.pulumi;
  const own = { processId: `${hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`, role };
  return {
    own,
    announceIn: (trx) => announce(trx, own, keyring),
    notice: async () => {
      if (keyring.former === undefined) return undefined;
      const { state } = await readRekeyStatus(database);
      return state === 'done' ? TAKE_OUT : undefined;
    },
    follow: () => {
      const onOther = (error: Error) =>
        fail(new Error(`${error.message}: start this process with it`, { cause: error }));
      return startAnnouncing({ database, log, keyring, own, onOther });
    },
  };
}

/** Moves the stacks to the configured secrets provider in the background. */
export function openProviderMoves(
  { connections, database, log }: Omit<RekeyParts, 'clock'>,
  { engine, pulumi }: { engine: Pick<Engine, 'parts'>; pulumi: PulumiState },
): { stop(): Promise<void> } {
  const { url: backendUrl, secrets } = connections.pulumi;
  const { executor } = engine.parts;
  return startMovingProviders({ database, log, secrets, backendUrl, executor, ...pulumi });
}

type RekeyParts = Pick<RekeyDeps, 'database' | 'log' | 'clock'> & {
  connections: Pick<Connections, 'pulumi'>;
};

/** Changes the passphrase in the background, if this process has a former one. */
export function openRekeying({ connections, database, log, clock }: RekeyParts): { stop(): Promise<void> } {
  const { keyring, url: backendUrl } = connections.pulumi;
  const openStacks: RekeyDeps['openStacks'] = async () => {
    const { passphrases, fence, close } = await openPulumiState(backendUrl, log);
    if (passphrases !== undefined)
      return { deps: { database, keyring, fence, passphrases, backendUrl }, close };
    await close();
    return undefined;
  };
  return startRekeying({ database, log, keyring, clock, openStacks });
}
