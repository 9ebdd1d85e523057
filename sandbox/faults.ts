import { setTimeout as pause } from 'node:timers/promises';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { faultBody } from './fault-answers.ts';
import { type FaultArea, type FaultEffect, type FaultOrder, faultOrderSchema } from './fault-order.ts';
import { PatternTooSlow, pathMatches } from './path-pattern.ts';

export type { FaultArea, FaultEffect, FaultOrder } from './fault-order.ts';

type FaultRow = {
  id: string;
  area: FaultArea;
  method: string;
  path: string;
  remaining: number;
  effect: FaultEffect;
};

export type Faults = {
  /** `POST`, `GET`, `DELETE /faults` and `DELETE /faults/:id`; to be mounted under `/sandbox`. */
  router: express.Router;
  /** Makes ordered faults happen; to be mounted before the area's own router, on the same path. */
  middleware(area: FaultArea): RequestHandler;
};

/** Faults that tests and the curious can order: the next n calls that match fail in the ordered way. */
export function createFaults(pool: pg.Pool): Faults {
  return {
    router: createFaultsRouter(pool),
    middleware: (area) => async (request, response, next) => {
      const effect = await takeFault(pool, area, request.method, request.path);
      if (effect === undefined) next();
      else await applyFault(area, effect, request, response, next);
    },
  };
}

/** The action error that a fault ordered for this call, if any: the area's router makes the action end in it. */
export function orderedActionError(response: Response): { code: string; message: string } | undefined {
  return response.locals.orderedActionError;
}

function createFaultsRouter(pool: pg.Pool): express.Router {
  const router = express.Router();
  router.post('/faults', express.json(), async (request, response) => {
    const order = faultOrderSchema.safeParse(request.body);
    if (!order.success) response.status(400).json(problem(400, z.prettifyError(order.error)));
    else response.status(201).json(toFault(await storeFault(pool, order.data)));
  });
  router.get('/faults', async (_request, response) => {
    const { rows } = await pool.query<FaultRow>(`SELECT ${columns} FROM faults ORDER BY id`);
    response.json({ faults: rows.map(toFault) });
  });
  router.delete('/faults', async (_request, response) => {
    await pool.query('DELETE FROM faults');
    response.status(204).end();
  });
  router.delete('/faults/:id', async (request, response) => {
    const { rowCount } = await pool.query('DELETE FROM faults WHERE id::text = $1', [request.params.id]);
    if (rowCount === 0) response.status(404).json(problem(404, `There is no fault ${request.params.id}`));
    else response.status(204).end();
  });
  router.use('/faults', refuseUnreadable);
  return router;
}

const columns = 'id, area, method, path, remaining, effect';

async function storeFault(pool: pg.Pool, order: FaultOrder): Promise<FaultRow> {
  const { rows } = await pool.query<FaultRow>(
    `INSERT INTO faults (area, method, path, remaining, effect) VALUES ($1, $2, $3, $4, $5) RETURNING ${columns}`,
    [order.area, order.method, order.path, order.times, JSON.stringify(order.effect)],
  );
  return rows[0]!;
}

/** Uses one of the oldest matching fault's remaining times up. Of concurrent calls, exactly as many get it as remain. */
async function takeFault(
  pool: pg.Pool,
  area: FaultArea,
  method: string,
  path: string,
): Promise<FaultEffect | undefined> {
  const { rows } = await pool.query<FaultRow>(
    `SELECT ${columns} FROM faults WHERE area = $1 AND method IN ($2, '*') AND remaining > 0 ORDER BY id`,
    [area, method],
  );
  for (const fault of rows) {
    if (!(await matches(pool, fault, path))) continue;
    const taken = await pool.query(
      'UPDATE faults SET remaining = remaining - 1 WHERE id = $1 AND remaining > 0',
      [fault.id],
    );
    if (taken.rowCount === 1) return fault.effect;
  }
  return undefined;
}

/** An order whose pattern takes too long is over: it would hold up every call to come. */
async function matches(pool: pg.Pool, fault: FaultRow, path: string): Promise<boolean> {
  try {
    return pathMatches(fault.path, path);
  } catch (error) {
    if (!(error instanceof PatternTooSlow)) throw error;
    await pool.query('UPDATE faults SET remaining = 0 WHERE id = $1', [fault.id]);
    console.error(`sandbox: fault ${fault.id} is over. ${error.message}`);
    return false;
  }
}

async function applyFault(
  area: FaultArea,
  effect: FaultEffect,
  request: Request,
  response: Response,
  next: NextFunction,
): Promise<void> {
  switch (effect.kind) {
    case 'status':
      return answer(response, effect.status, effect.body ?? faultBody(area, effect.status));
    case 'limit':
      return answer(response, 403, faultBody(area, 403));
    case 'stock-out':
      return answer(response, 412, faultBody(area, 412));
    case 'latency':
      await pause(effect.ms);
      return next();
    case 'black-hole':
      // Reading the body keeps the client able to send all of it, and lets the socket notice when the client leaves.
      request.resume();
      return;
    case 'drop-answer':
      dropAnswer(request, response);
      return next();
    case 'action-error':
      response.locals.orderedActionError = { code: effect.code, message: effect.message };
      return next();
  }
}

function answer(response: Response, status: number, body: unknown): void {
  response.status(status).json(body);
}

/** The handler's answer comes when its work is committed; that is the moment at which the connection breaks. */
function dropAnswer(request: Request, response: Response): void {
  const drop = () => {
    request.socket.destroy();
    return response;
  };
  Object.assign(response, {
    writeHead: () => response,
    write: () => {
      drop();
      return true;
    },
    end: drop,
  });
}

const refuseUnreadable: express.ErrorRequestHandler = (error, _request, response, next) => {
  if (error.type === 'entity.parse.failed') response.status(400).json(problem(400, 'The body is not JSON'));
  else next(error);
};

function problem(status: number, detail: string) {
  return { type: 'about:blank', title: status === 404 ? 'Not found' : 'Invalid fault', status, detail };
}

function toFault({ id, ...rest }: FaultRow) {
  return { id: Number(id), ...rest };
}
