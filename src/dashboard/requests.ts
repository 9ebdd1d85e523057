import express, { type RequestHandler, type Response } from 'express';
import { agentIdSchema } from '../agents/new-agent.ts';
import { NotFoundError } from '../errors.ts';
import { approvalRequired, isSafe } from '../http/actor.ts';
import type { HttpDeps } from '../http/deps.ts';
import { type Principal, readVia } from '../http/principal.ts';
import { layout, type Page } from './layout.ts';

/** Reads the fields of a form. */
export const form = express.urlencoded({ extended: false, limit: '8kb' });

/** Refuses every form to a program that names itself, signed in or not: the API has what is for programs. */
export const refuseNamedPrograms: RequestHandler = (request, _response, next) => {
  if (!isSafe(request) && readVia(request) !== undefined) throw approvalRequired();
  next();
};

/** @throws NotFoundError for a text that is no agent id */
export function parseAgentId(text: unknown): string {
  const parsed = agentIdSchema.safeParse(text);
  if (!parsed.success) throw new NotFoundError('Agent not found');
  return parsed.data;
}

export function sendPage(response: Response, deps: Pick<HttpDeps, 'machines'>, page: Page): void {
  const { principal } = response.locals as { principal?: Principal };
  response.type('html').send(layout({ machines: deps.machines, sender: principal, ...page }).toString());
}
