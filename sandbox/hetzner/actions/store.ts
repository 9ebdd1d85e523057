import type { Queryable } from '../../database.ts';

export type ActionError = { code: string; message: string };
export type ResourceType = 'server' | 'firewall' | 'image' | 'primary_ip';
export type ActionResource = { id: number; type: ResourceType };

/** An action to be begun. It ends at `finishesAt`: in `error` where there is one, otherwise in success. */
export type NewAction = {
  command: string;
  startedAt: Date;
  finishesAt: Date;
  resources: ActionResource[];
  error?: ActionError | undefined;
};

export type ActionRow = {
  id: number;
  command: string;
  started_at: Date;
  finishes_at: Date;
  error: ActionError | null;
  resources: ActionResource[];
};

/** Stores actions; the rows come back in the same order. */
export async function insertActions(db: Queryable, actions: readonly NewAction[]): Promise<ActionRow[]> {
  if (actions.length === 0) return [];
  const values: unknown[] = [];
  const tuples = actions.map((action) => {
    const error = action.error === undefined ? null : JSON.stringify(action.error);
    const row = [
      action.command,
      action.startedAt,
      action.finishesAt,
      error,
      JSON.stringify(action.resources),
    ];
    return `(${row.map((value) => `$${values.push(value)}`).join(', ')})`;
  });
  const { rows } = await db.query<ActionRow>(
    `INSERT INTO hetzner_actions (command, started_at, finishes_at, error, resources)
     VALUES ${tuples.join(', ')} RETURNING *`,
    values,
  );
  return rows.sort((a, b) => a.id - b.id);
}

/** How the API shows an action at a moment: nothing moves it but time. */
export function toAction(row: ActionRow, now: Date) {
  const running = now < row.finishes_at;
  const lengthMs = row.finishes_at.getTime() - row.started_at.getTime();
  const elapsed = (now.getTime() - row.started_at.getTime()) / lengthMs;
  return {
    id: row.id,
    command: row.command,
    status: running ? 'running' : row.error === null ? 'success' : 'error',
    started: row.started_at.toISOString(),
    finished: running ? null : row.finishes_at.toISOString(),
    progress: running ? Math.max(0, Math.min(99, Math.floor(elapsed * 100))) : 100,
    resources: row.resources,
    error: running ? null : row.error,
  };
}

/** The status of `toAction` as SQL; `now` is the placeholder of a time. */
export function actionStatusSql(now: string): string {
  return `CASE WHEN finishes_at > ${now} THEN 'running' WHEN error IS NULL THEN 'success' ELSE 'error' END`;
}
