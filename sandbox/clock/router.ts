import express from 'express';
import { z } from 'zod';
import type { SandboxClock } from './sandbox-clock.ts';
import { type ClockState, FURTHEST_SECONDS } from './store.ts';

/** The longest single move: a year. */
const LONGEST_MOVE_SECONDS = 366 * 24 * 3600;

const move = z.strictObject({ advanceSeconds: z.number().int().min(1).max(LONGEST_MOVE_SECONDS) });

/** Serves `GET` and `POST /clock`, to read the clock and to move it forward. Mount under `/sandbox`. */
export function createClockRouter(clock: SandboxClock): express.Router {
  const router = express.Router();
  router.get('/clock', async (_request, response) => {
    response.json(toAnswer(await clock.read()));
  });
  router.post('/clock', express.json({ limit: '1kb' }), async (request, response) => {
    const parsed = move.safeParse(request.body);
    if (!parsed.success) {
      refuse(response, z.prettifyError(parsed.error));
      return;
    }
    const state = await clock.advance(parsed.data.advanceSeconds);
    if (state === undefined) refuse(response, `The clock can be ${FURTHEST_SECONDS} s ahead in all`);
    else response.json(toAnswer(state));
  });
  router.use('/clock', refuseUnreadable);
  return router;
}

/** While the clock is moved, `targetSeconds` is the offset to which it is on its way. */
function toAnswer({ now, offsetSeconds, targetSeconds }: ClockState) {
  return { now: now.toISOString(), offsetSeconds, targetSeconds };
}

const refuseUnreadable: express.ErrorRequestHandler = (error, _request, response, next) => {
  if (error.type === 'entity.parse.failed') refuse(response, 'The body is not JSON');
  else next(error);
};

function refuse(response: express.Response, detail: string): void {
  response.status(400).json({ type: 'about:blank', title: 'The clock was not moved', status: 400, detail });
}
