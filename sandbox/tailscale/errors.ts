import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { z } from 'zod';

/** An error answer in Tailscale's form `{"message": …}`. */
export class TailscaleError extends Error {
  readonly status: number;
  /** Details, for the errors to which Tailscale adds them. */
  readonly data: unknown;

  constructor(status: number, message: string, data?: unknown) {
    super(message);
    this.status = status;
    this.data = data;
  }
}

export const refuseUnknownPath: RequestHandler = () => {
  throw new TailscaleError(404, '404 page not found');
};

/** Parses a request body. @throws TailscaleError 400 that names the invalid field */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new TailscaleError(400, [issue?.path.join('.'), issue?.message].filter(Boolean).join(': '));
}

export const answerError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof TailscaleError)
    response.status(error.status).json({ message: error.message, data: error.data });
  else if (error?.type === 'entity.parse.failed') response.status(400).json({ message: 'invalid JSON body' });
  else if (typeof error?.status === 'number' && error.status < 500) {
    // Rejected by Express: the body is too large, or the path is not properly encoded.
    response.status(error.status).json({ message: String(error.message) });
  } else {
    console.error(`sandbox tailscale: ${error?.message ?? error}`);
    response.status(500).json({ message: 'internal server error' });
  }
};
