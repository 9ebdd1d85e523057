import express, { type Response } from 'express';
import { agentIdSchema } from '../agents/new-agent.ts';
import { NotFoundError } from '../errors.ts';
import type { HttpDeps } from '../http/deps.ts';
import { layout, type Page } from './layout.ts';

/** Reads the fields of a form. */
export const form = express.urlencoded({ extended: false, limit: '8kb' });

/** @throws NotFoundError for a text that is no agent id */
export function parseAgentId(text: unknown): string {
  const parsed = agentIdSchema.safeParse(text);
  if (!parsed.success) throw new NotFoundError('Agent not found');
  return parsed.data;
}

export function sendPage(response: Response, deps: Pick<HttpDeps, 'machines'>, page: Page): void {
  response.type('html').send(layout({ machines: deps.machines, ...page }).toString());
}
