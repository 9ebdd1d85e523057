import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { HetznerClient, Page, SshKey } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';

export interface LostStateDeps {
  database: Database;
  /** A client of each Hetzner project; none: only the GitHub runners have the keys. */
  projects: readonly Pick<HetznerClient, 'serverPage' | 'sshKeyPage'>[];
  /**
   * Whether an SSH key is of this installation; default: every one with our labels. A rehearsal may share its
   * clouds with the installation whose sandbox they are.
   */
  isOwn?: ((key: SshKey) => Promise<boolean>) | undefined;
  /** Whether Pulumi's database has stacks, which is asked where Hetzner cannot be. */
  hasStacks: () => Promise<boolean>;
  log: Log;
}

export interface LostStateWatch extends Repeating {
  /** Resolves after the first look, whether Hetzner answered or not. */
  looked: Promise<void>;
}

const RETRY_SECONDS = 10;

/**
 * Finds out whether a new database stands in for a lost one: a Hetzner project has servers or keys with our
 * labels then. Without access to Hetzner, Pulumi's stacks tell; if they are lost too, nothing does, and
 * orders from before this database are ignored as on any first start (src/billing/record.ts). Until it is
 * known no worker begins anything, and the sweep removes nothing. Asked once in the life of a database; while
 * there is no answer, again every few seconds.
 */
export function watchForLostState(deps: LostStateDeps): LostStateWatch {
  let isKnown = false;
  const look = async () => {
    isKnown = await tryToCheck(deps);
  };
  const first = look();
  const repeating = repeatEvery(RETRY_SECONDS, look, () => !isKnown);
  return {
    looked: first,
    stop: async () => {
      await first;
      await repeating.stop();
    },
  };
}

async function tryToCheck(deps: LostStateDeps): Promise<boolean> {
  try {
    await checkLostState(deps);
    return true;
  } catch (error) {
    deps.log.warn(
      { event: 'recovery.unknown', error: errorMessage(error) },
      'it is not known yet whether the Hetzner project has servers of an earlier database: operations wait',
    );
    return false;
  }
}

/** @throws what Hetzner's client or Pulumi's database throws */
export async function checkLostState(deps: LostStateDeps): Promise<void> {
  const { database, projects, hasStacks, isOwn, log } = deps;
  const { rows } = await sql<{ due: boolean }>`
    select exists (select 1 from installation where recovery = 'unchecked') as due`.execute(database);
  if (rows[0]?.due !== true) return;
  const isNeeded =
    projects.length === 0
      ? await hasStacks()
      : (
          await Promise.all(
            projects.map((project) =>
              isOwn === undefined ? hasOwnResources(project) : hasKey(project, isOwn),
            ),
          )
        ).includes(true);
  await database
    .updateTable('installation')
    .set({ recovery: isNeeded ? 'needed' : 'none' })
    .where('recovery', '=', 'unchecked')
    .execute();
  if (isNeeded)
    log.warn(
      { event: 'recovery.needed' },
      'this database is new and an earlier one has made servers: nothing is made or removed before `agents rebuild-state` or `agents restore`',
    );
}

async function hasOwnResources(hetzner: LostStateDeps['projects'][number]): Promise<boolean> {
  const [servers, keys] = await Promise.all([hetzner.serverPage(1), hetzner.sshKeyPage(1)]);
  return servers.items.length + keys.items.length > 0;
}

/** An agent's SSH key is made before its server, and lasts as long as the agent. */
async function hasKey(
  hetzner: LostStateDeps['projects'][number],
  isOwn: (key: SshKey) => Promise<boolean>,
): Promise<boolean> {
  for (let page: number | null = 1; page !== null; ) {
    const { items, nextPage }: Page<SshKey> = await hetzner.sshKeyPage(page);
    for (const key of items) if (await isOwn(key)) return true;
    page = nextPage;
  }
  return false;
}
