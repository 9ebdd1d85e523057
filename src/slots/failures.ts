import { sql } from 'kysely';

/** The failure code of a slot that is removed because it could not be made. */
export const NOT_MADE = 'not_made';
/** The failure code of a slot that its agent did not get, because something of it failed. */
export const NOT_HANDED_OVER = 'not_handed_over';
/** The failure code of a slot that stopped answering soon after it was ready. */
export const FELL_SILENT = 'fell_silent';

/** The columns of a slot that failed for good; those of one that is not to blame if there is no code. */
export const toFailure = (failureCode: string | null) => ({
  failure_code: failureCode,
  failed_at: failureCode === null ? null : sql<Date>`now()`,
});
