import type { Selectable } from 'kysely';
import type { OperationTable } from '../database/tables.ts';

/** An operation as the database has it. */
export type OperationRow = Selectable<OperationTable>;
