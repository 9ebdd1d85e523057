import type { Selectable } from 'kysely';
import type { OperationTable } from '../database/tables.ts';

/** A row of the table of operations. */
export type OperationRow = Selectable<OperationTable>;
