import { type Expression, type Selectable, sql } from 'kysely';
import type { SandboxDatabase } from '../../database.ts';
import type { ActionError, ActionResource, ActionTable } from '../tables.ts';

export type ActionRow = Selectable<ActionTable>;

/** An action to start. It ends at `finishesAt`, in `error` if there is one, otherwise successfully. */
export interface NewAction {
  command: string;
  startedAt: Date;
  finishesAt: Date;
  resources: ActionResource[];
  error?: ActionError | undefined;
}

/** Stores actions and returns the rows in the same order. */
export async function insertActions(
  database: SandboxDatabase,
  actions: readonly NewAction[],
): Promise<ActionRow[]> {
  if (actions.length === 0) return [];
  const rows = await database
    .insertInto('hetzner_actions')
    .values(actions.map(toRow))
    .returningAll()
    .execute();
  return rows.sort((a, b) => a.id - b.id);
}

function toRow({ command, startedAt, finishesAt, error, resources }: NewAction) {
  return {
    command,
    started_at: startedAt,
    finishes_at: finishesAt,
    error: error === undefined ? null : JSON.stringify(error),
    resources: JSON.stringify(resources),
  };
}

/** Returns an action as the API shows it at a given time. It changes only with time. */
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

/** Returns the status of `toAction` as an SQL expression. */
export function actionStatus(now: Date): Expression<string> {
  return sql`case when finishes_at > ${now} then 'running' when error is null then 'success' else 'error' end`;
}
