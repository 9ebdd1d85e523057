import type pg from 'pg';
import { z } from 'zod';

/** Pulumi's own rows about a stack, for what its CLI cannot do, or does with a process for each. */
export interface StateStore {
  /**
   * Makes an empty stack, as `pulumi stack init` would, with the secrets' salt of another stack.
   * @returns whether the stack exists now; false leaves it to the CLI.
   */
  makeEmpty(stackName: string, like: string): Promise<boolean>;
  /** Removes whatever the backend still has of a stack that is gone: state, backups, history, locks. */
  forget(stackName: string): Promise<void>;
  /** Removes all but the newest entries of a stack's history, so that an old agent costs what a new one does. */
  prune(stackName: string): Promise<void>;
}

/** Updates that stay visible in `pulumi stack history`. */
const KEPT_UPDATES = 20;

/** Of a stack's checkpoint, what an empty one consists of. Anything unexpected in it and the CLI makes the stack. */
const checkpointSchema = z.object({
  version: z.literal(3),
  checkpoint: z.strictObject({
    stack: z.string(),
    latest: z.object({
      manifest: z.record(z.string(), z.unknown()),
      secrets_providers: z.object({ type: z.literal('passphrase'), state: z.object({ salt: z.string() }) }),
    }),
  }),
});

/**
 * Over the Postgres backend's one table: `pulumi_state(key, data, updated_at)`, `data` being `{data: <base64>}`, with keys
 * `<database>/.pulumi/{stacks,history,locks}/<project>/<stack>…`. Names have no `_` or `%`, so `like` is exact.
 */
export function createPostgresStateStore(
  pool: pg.Pool,
  { database, project }: { database: string; project: string },
): StateStore {
  const root = `${database}/.pulumi`;
  const stackKey = (stackName: string) => `${root}/stacks/${project}/${stackName}.json`;
  return {
    makeEmpty: async (stackName, like) => {
      const found = await pool.query<{ data: { data: string } }>(
        'select data from pulumi_state where key = $1',
        [stackKey(like)],
      );
      const empty = emptyCheckpoint(found.rows[0]?.data.data, { stackName, project });
      if (empty === undefined) return false;
      const text = JSON.stringify({ data: empty });
      await pool.query(INSERT, [stackKey(stackName), text]);
      return true;
    },
    forget: async (stackName) => {
      for (const folder of foldersOfStack(root, project, stackName))
        await pool.query('delete from pulumi_state where key like $1 or key like $2', [
          `${folder}.%`,
          `${folder}/%`,
        ]);
    },
    // Each update has two rows: `…/<stack>-<nanoseconds>.history.json` and `….checkpoint.json`.
    prune: async (stackName) => {
      await pool.query(
        `delete from pulumi_state where key in (
           select key from pulumi_state where key like $1 order by key desc offset $2)`,
        [`${root}/history/${project}/${stackName}/%`, 2 * KEPT_UPDATES],
      );
    },
  };
}

const INSERT = 'insert into pulumi_state (key, data) values ($1, $2) on conflict (key) do nothing';

function foldersOfStack(root: string, project: string, stackName: string): string[] {
  const folders = ['stacks', 'history', 'locks', 'backups'];
  return [
    ...folders.map((folder) => `${root}/${folder}/${project}/${stackName}`),
    // The locks of an organization's stacks lie one folder deeper.
    `${root}/locks/organization/${project}/${stackName}`,
  ];
}

function emptyCheckpoint(
  base64: string | undefined,
  stack: { stackName: string; project: string },
): string | undefined {
  if (base64 === undefined) return undefined;
  const parsed = checkpointSchema.safeParse(JSON.parse(Buffer.from(base64, 'base64').toString()));
  if (!parsed.success) return undefined;
  const { manifest, secrets_providers } = parsed.data.checkpoint.latest;
  const checkpoint = {
    stack: `organization/${stack.project}/${stack.stackName}`,
    latest: { manifest, secrets_providers, metadata: {} },
  };
  return Buffer.from(JSON.stringify({ version: 3, checkpoint })).toString('base64');
}

/** For other backends: the CLI does what it can. */
export const passiveStateStore: StateStore = {
  makeEmpty: async () => false,
  forget: async () => {},
  prune: async () => {},
};
