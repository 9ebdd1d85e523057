import type pg from 'pg';

/** Pulumi's own rows about a stack, for what its CLI cannot do: removing history and locks, and keeping history short. */
export interface StateStore {
  /** Removes whatever the backend still has of a stack that is gone: state, backups, history, locks. */
  forget(stackName: string): Promise<void>;
}

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
  };
}

/** For other backends: what the CLI leaves is left. */
export const passiveStateStore: StateStore = { forget: async () => {} };
