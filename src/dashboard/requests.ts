import express, { type RequestHandler, type Response } from 'express';
import { agentIdSchema } from '../agents/new-agent.ts';
import { NotFoundError } from '../errors.ts';
import { approvalRequired, refuseProgram } from '../http/actor.ts';
import type { HttpDeps } from '../http/deps.ts';
import { readVia } from '../http/principal.ts';
import { layout, type Page } from './layout.ts';

/** Reads the fields of a form. */
export const form = express.urlencoded({ extended: false, limit: '8kb' });

const isForm = (method: string) => method !== 'GET' && method !== 'HEAD';

/** Refuses every form to a program that names itself, signed in or not: the API has what is for programs. */
export const refuseNamedPrograms: RequestHandler = (request, _response, next) => {
  if (isForm(request.method) && readVia(request) !== undefined) throw approvalRequired();
  next();
};

/** Refuses every form to a program by its token. After `requireOperator`. */
export const refusePrograms: RequestHandler = (request, response, next) => {
  if (isForm(request.method)) refuseProgram(request, response);
  next();
};

/** @throws NotFoundError for a text that is no agent id */
export function parseAgentId(text: unknown): string {
  const parsed = agentIdSchema.safeParse(text);
  if (!parsed.success) throw new NotFoundError('Agent not found');
  return parsed.data;
}

export function sendPage(response: Response, deps: Pick<HttpDeps, 'machines'>, page: Page): void {
  response.type('html').send(layout({ machines: deps.machines, ...page }).toString());
}
