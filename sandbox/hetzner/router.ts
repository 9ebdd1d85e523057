import express from 'express';
import type { SandboxDatabase } from '../database.ts';
import type { SandboxSettings } from '../settings.ts';
import type { SandboxTokens } from '../tokens.ts';
import { accessOf, identify, limitRequests, refuseUnauthorized } from './access.ts';
import { createActionsRouter } from './actions/routes.ts';
import { validateAnswers } from './answer-validation.ts';
import { createCatalogueRouter } from './catalogue/routes.ts';
import { answerErrors, refuseUnknownPath } from './errors.ts';
import { createFirewallsRouter } from './firewalls/routes.ts';
import { createImagesRouter } from './images/routes.ts';
import { createPrimaryIpsRouter } from './primary-ips.ts';
import { openProject } from './projects.ts';
import { createServersRouter } from './servers/routes.ts';
import { createSshKeysRouter } from './ssh-keys/routes.ts';

export interface HetznerDependencies {
  /** The sandbox's database, with `hetznerSchema` in it. */
  database: SandboxDatabase;
  tokens: Pick<SandboxTokens, 'hcloudToken'>;
  settings: SandboxSettings;
}

/**
 * Creates Hetzner's Cloud API. Mount it at the client's endpoint, `…/v1`. Every token is that of a project,
 * with resources, limits and a quota of its own.
 */
export function createHetznerRouter({ database, tokens, settings }: HetznerDependencies): express.Router {
  const router = express.Router();
  const projects = new Map<string, Promise<express.Router>>();
  const openRouter = async (project: string) =>
    createProjectRouter({ database: await openProject(database, project), settings });
  if (settings.validateAnswers) router.use(validateAnswers(database));
  router.use(identify(database, tokens.hcloudToken));
  router.use(async (request, response, next) => {
    const { project } = accessOf(response);
    const opened = projects.get(project) ?? openRouter(project);
    projects.set(project, opened);
    // The next call tries again.
    opened.catch(() => projects.delete(project));
    (await opened)(request, response, next);
  });
  router.use(answerErrors);
  return router;
}

function createProjectRouter({
  database,
  settings,
}: Pick<HetznerDependencies, 'database' | 'settings'>): express.Router {
  const router = express.Router();
  router.use(limitRequests(settings.requestsPerHour));
  router.use(refuseUnauthorized);
  router.use(express.json({ limit: '1mb', type: () => true }));
  router.use(createCatalogueRouter());
  // Before the resources themselves: /servers/actions is not a server's id.
  router.use(createActionsRouter({ database }));
  router.use(createImagesRouter({ database, settings }));
  router.use(createSshKeysRouter({ database }));
  router.use(createFirewallsRouter({ database, settings }));
  router.use(createPrimaryIpsRouter({ database, settings }));
  router.use(createServersRouter({ database, settings }));
  router.use(refuseUnknownPath);
  return router;
}
