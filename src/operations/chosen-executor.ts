import { sql } from 'kysely';
import type { ExecutorName } from '../config/executor-name.ts';

/**
 * The executor of the installation's next attempts: every operation gets it that is queued, or queued again.
 */
export const chosenExecutor = sql<ExecutorName>`coalesce((select executor from installation), 'local')`;
