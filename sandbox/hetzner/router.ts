import express from 'express';
import { poolBehind, type SandboxDatabase } from '../database.ts';
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

export type HetznerDependencies = {
  /** The sandbox's database, with `hetznerSchema` in it. */
  database: SandboxDatabase;
  tokens: Pick<SandboxTokens, 'hcloudToken'>;
  settings: SandboxSettings;
};

/** Hetzner's Cloud API for one project; to be mounted where a client's endpoint points, `…/v1`. */
export function createHetznerRouter({ database, tokens, settings }: HetznerDependencies): express.Router {
  const pool = poolBehind(database);
  const router = express.Router();
  if (settings.validateAnswers) router.use(validateAnswers(pool));
  router.use(limitRequests(settings.requestsPerHour));
  router.use(authenticate(tokens.hcloudToken));
  router.use(express.json({ limit: '1mb', type: () => true }));
  router.use(createCatalogueRouter());
  // Before the resources themselves: /servers/actions is not a server's id.
  router.use(createActionsRouter({ pool }));
  router.use(createImagesRouter({ pool, settings }));
  router.use(createSshKeysRouter({ pool }));
  router.use(createFirewallsRouter({ pool, settings }));
  router.use(createPrimaryIpsRouter({ pool, settings }));
  router.use(createServersRouter({ pool, settings }));
  router.use(refuseUnknownPath);
  router.use(answerErrors);
  return router;
}
