import { z } from 'zod';

/**
 * A text that is searched for, as an address has it. Control characters are in nothing that is searched, and
 * Postgres rejects one of them.
 */
export const searchText = z
  .string()
  .max(200)
  .transform((text) => text.replaceAll(/\p{Cc}/gu, ''));
