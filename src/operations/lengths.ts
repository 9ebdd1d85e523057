/** The longest texts that are stored, in code points. The columns have the same limits (migration 0007). */
export const LONGEST_ERROR = 8_000;
export const LONGEST_STEP = 200;
export const LONGEST_LINE = 4_000;
