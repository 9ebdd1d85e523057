import { sql } from 'kysely';
import type { ExecutorName } from '../config/executor-name.ts';

/** The installation's executor. An operation gets it whenever it is queued, the first time or again. */
export const chosenExecutor = sql<ExecutorName>`coalesce((select executor from installation), 'local')`;
