import type { Router } from 'express';
import { NotFoundError } from '../../errors.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { PROBLEM_NAMES, PROBLEMS } from '../../http/problems.ts';
import { sendPage } from '../requests.ts';
import { problemPage, problemsPage } from './problem-pages.ts';
import { type ReferenceDocument, referencePage } from './reference-page.ts';

/** Routes the pages about the API. They say nothing about this installation, so anyone may read them. */
export function addReferenceRoutes(router: Router, deps: HttpDeps, document: unknown): void {
  const main = referencePage(document as ReferenceDocument);
  router.get('/reference', (_request, response) => {
    sendPage(response, deps, { title: 'API', main });
  });
  router.get('/problems', (_request, response) => {
    sendPage(response, deps, { title: 'Problems', main: problemsPage() });
  });
  router.get('/problems/:name', (request, response) => {
    const name = PROBLEM_NAMES.find((one) => one === request.params.name);
    if (name === undefined) throw new NotFoundError('Page not found');
    sendPage(response, deps, { title: PROBLEMS[name].title, main: problemPage(name) });
  });
}
