import type { Request, Response } from 'express';
import { z } from 'zod';

/** A path on this site. A slash or a backslash right after the first slash would lead to another site. */
export const ownPath = z
  .string()
  .max(500)
  .regex(/^\/(?![/\\])[\x21-\x7e]*$/)
  .catch('/');

/** Sends the sign-in page. */
export type SendSignIn = (
  request: Request,
  response: Response,
  page: { next: string; problem?: string; status?: number },
) => Promise<void>;
