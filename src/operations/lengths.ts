/**
 * How much is kept of texts that come from elsewhere, in code points; the columns hold the same (migration
 * 0007).
 */
export const LONGEST_ERROR = 8_000;
export const LONGEST_STEP = 200;
export const LONGEST_LINE = 4_000;
