import express from 'express';
import type { SandboxDatabase } from '../database.ts';
import type { SandboxSettings } from '../settings.ts';
import type { SandboxTokens } from '../tokens.ts';
import { authenticate, limitRequests } from './access.ts';
import { createActionsRouter } from './actions/routes.ts';
import { validateAnswers } from './answer-validation.ts';
import { createCatalogueRouter } from './catalogue/routes.ts';
import { answerErrors, refuseUnknownPath } from './errors.ts';
import { createFirewallsRouter } from './firewalls/routes.ts';
import { createImagesRouter } from './images/routes.ts';
import { createPrimaryIpsRouter } from './primary-ips.ts';
import { createServersRouter } from './servers/routes.ts';
import { createSshKeysRouter } from './ssh-keys/routes.ts';

export interface HetznerDependencies {
  /** The sandbox's database, with `hetznerSchema` in it. */
  database: SandboxDatabase;
  tokens: Pick<SandboxTokens, 'hcloudToken'>;
  settings: SandboxSettings;
}

/** Creates Hetzner's Cloud API for one project. Mount it at the client's endpoint, `…/v1`. */
export function createHetznerRouter({ database, tokens, settings }: HetznerDependencies): express.Router {
  const router = express.Router();
  if (settings.validateAnswers) router.use(validateAnswers(database));
  router.use(limitRequests(settings.requestsPerHour));
  router.use(authenticate(database, tokens.hcloudToken));
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
  router.use(answerErrors);
  return router;
}
