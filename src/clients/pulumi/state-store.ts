import type pg from 'pg';

/** Pulumi's own rows about a stack, for what its CLI cannot do: removing history and locks, and keeping history short. */
export interface StateStore {
  /** Removes whatever the backend still has of a stack that is gone: state, backups, history, locks. */
  forget(stackName: string): Promise<void>;
  /** Removes all but the newest entries of a stack's history, so that an old agent costs what a new one does. */
  prune(stackName: string): Promise<void>;
}

/** Updates that stay visible in `pulumi stack history`. */
const KEPT_UPDATES = 20;

/**
 * Over the Postgres backend's one table: `pulumi_state(key, data, updated_at)` with keys
 * `<database>/.pulumi/{stacks,history,locks,backups}/<project>/<stack>…`. Stack names have no `_` or `%`, so `like` is exact.
 */
export function createPostgresStateStore(pool: pg.Pool, project: string): StateStore {
  return {
    forget: async (stackName) => {
      const stack = `%/.pulumi/%/${project}/${stackName}`;
      await pool.query(`delete from pulumi_state where key like $1 or key like $2 or key like $3`, [
        stack,
        `${stack}.%`,
        `${stack}/%`,
      ]);
    },
    // Each update has two rows: `…/<stack>-<nanoseconds>.history.json` and `….checkpoint.json`.
    prune: async (stackName) => {
      await pool.query(
        `delete from pulumi_state where key in (
           select key from pulumi_state where key like $1 order by split_part(key, '/' || $2 || '-', 2) desc offset $3)`,
        [`%/.pulumi/history/${project}/${stackName}/%`, stackName, 2 * KEPT_UPDATES],
      );
    },
  };
}

/** For other backends: what the CLI leaves is left. */
export const passiveStateStore: StateStore = { forget: async () => {}, prune: async () => {} };
