import { setTimeout as pause } from 'node:timers/promises';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { type Selectable, sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase } from './database.ts';
import { faultBody } from './fault-answers.ts';
import { type FaultArea, type FaultEffect, type FaultOrder, faultOrderSchema } from './fault-order.ts';
import { PatternTooSlow, pathMatches } from './path-pattern.ts';
import type { FaultTable } from './schema.ts';

export type { FaultArea, FaultEffect, FaultOrder } from './fault-order.ts';

const COLUMNS = ['id', 'area', 'method', 'path', 'remaining', 'effect'] as const;

type FaultRow = Pick<Selectable<FaultTable>, (typeof COLUMNS)[number]>;

export interface Faults {
  /** `POST`, `GET`, `DELETE /faults` and `DELETE /faults/:id`; mount it under `/sandbox`. */
  router: express.Router;
  /** Injects the ordered faults; mount it before the area's own router, on the same path. */
  middleware(area: FaultArea): RequestHandler;
}

/** Creates faults on order: the next n matching calls fail as ordered. */
export function createFaults(database: SandboxDatabase): Faults {
  return {
    router: createFaultsRouter(database),
    middleware: (area) => async (request, response, next) => {
      const effect = await takeFault(database, area, request.method, request.path);
      if (effect === undefined) next();
      else await applyFault(area, effect, request, response, next);
    },
  };
}

/**
 * Returns the action error that a fault ordered for this call, if any. The router ends the action with it.
 */
export function orderedActionError(response: Response): { code: string; message: string } | undefined {
  return response.locals.orderedActionError;
}

function createFaultsRouter(database: SandboxDatabase): express.Router {
  const router = express.Router();
  router.post('/faults', express.json(), async (request, response) => {
    const order = faultOrderSchema.safeParse(request.body);
    if (!order.success) response.status(400).json(problem(400, z.prettifyError(order.error)));
    else response.status(201).json(toFault(await storeFault(database, order.data)));
  });
  router.get('/faults', async (_request, response) => {
    const rows = await database.selectFrom('faults').select(COLUMNS).orderBy('id').execute();
    response.json({ faults: rows.map(toFault) });
  });
  router.delete('/faults', async (_request, response) => {
    await database.deleteFrom('faults').execute();
    response.status(204).end();
  });
  router.delete('/faults/:id', async (request, response) => {
    const { numDeletedRows } = await database
      .deleteFrom('faults')
      .where(sql<string>`id::text`, '=', request.params.id)
      .executeTakeFirst();
    if (numDeletedRows === 0n)
      response.status(404).json(problem(404, `There is no fault ${request.params.id}`));
    else response.status(204).end();
  });
  router.use('/faults', refuseUnreadable);
  return router;
}

function storeFault(
  database: SandboxDatabase,
  { area, method, path, times, effect }: FaultOrder,
): Promise<FaultRow> {
  return database
    .insertInto('faults')
    .values({ area, method, path, remaining: times, effect: JSON.stringify(effect) })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
}

/**
 * Takes one of the remaining times of the oldest matching fault. Concurrent calls never take more than
 * remain.
 */
async function takeFault(
  database: SandboxDatabase,
  area: FaultArea,
  method: string,
  path: string,
): Promise<FaultEffect | undefined> {
  const faults = await database
    .selectFrom('faults')
    .select(COLUMNS)
    .where('area', '=', area)
    .where('method', 'in', [method, '*'])
    .where('remaining', '>', 0)
    .orderBy('id')
    .execute();
  for (const fault of faults) {
    if (!(await matches(database, fault, path))) continue;
    const { numUpdatedRows } = await database
      .updateTable('faults')
      .set((eb) => ({ remaining: eb('remaining', '-', 1) }))
      .where('id', '=', fault.id)
      .where('remaining', '>', 0)
      .executeTakeFirst();
    if (numUpdatedRows === 1n) return fault.effect;
  }
  return undefined;
}

/** Uses up a fault whose pattern takes too long, because it would delay every later call. */
async function matches(database: SandboxDatabase, fault: FaultRow, path: string): Promise<boolean> {
  try {
    return pathMatches(fault.path, path);
  } catch (error) {
    if (!(error instanceof PatternTooSlow)) throw error;
    await database.updateTable('faults').set({ remaining: 0 }).where('id', '=', fault.id).execute();
    console.error(`sandbox: fault ${fault.id} is disabled. ${error.message}`);
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
      // Reads the body, so that the client can send all of it and the socket notices when the client leaves.
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

/** Breaks the connection at the moment of the answer, when the handler's work is committed. */
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
