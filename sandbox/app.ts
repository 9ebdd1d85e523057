import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import { createClockRouter } from './clock/router.ts';
import type { SandboxClock } from './clock/sandbox-clock.ts';
import { createCredentialsRouter } from './credentials/issued.ts';
import type { SandboxDatabase } from './database.ts';
import { createFaults } from './faults.ts';
import { createGithubRouter } from './github/router.ts';
import { refuseOtherHosts, refuseOtherUsers } from './guards.ts';
import { createValidationRouter } from './hetzner/answer-validation.ts';
import { createHetznerRouter } from './hetzner/router.ts';
import { createHandMadeRouter } from './machines/hand-made.ts';
import { createMachinesRouter } from './machines/simulated.ts';
import { createNetworkRouter, type Network } from './network.ts';
import type { SandboxSettings } from './settings.ts';
import { createCheckoutRouter } from './stripe/checkout.ts';
import { createStripeControlsRouter } from './stripe/controls.ts';
import { createInvoicePageRouter } from './stripe/invoice-page.ts';
import { createPortalRouter } from './stripe/portal.ts';
import { createStripeRouter } from './stripe/router.ts';
import type { ControlServer } from './tailscale/control-server.ts';
import { joinTailnet } from './tailscale/devices.ts';
import { createTailscaleRouter } from './tailscale/router.ts';
import { createSimulatedControl } from './tailscale/simulated.ts';
import type { SandboxTokens } from './tokens.ts';

export interface SandboxAppDeps {
  /** The sandbox's database, with the tables of all areas. */
  database: SandboxDatabase;
  clock: SandboxClock;
  tokens: SandboxTokens;
  settings: SandboxSettings;
  /** The service's webhook; after a payment, the sandbox's own order form leads to its origin. */
  webhookUrl: string;
  /** For real machines: their tailnet's control server, and the location of the controller's node. */
  control?: ControlServer | undefined;
  network?: (() => Network) | undefined;
  /** Called after every request that may have changed something at Hetzner. */
  wakeMachines?: (() => void) | undefined;
  /** Ids of users who may use the controls, in addition to this process's user and root. */
  users?: number[];
}

/** Creates all clouds of the sandbox and its own controls, on one HTTP address. */
export function createSandboxApp(deps: SandboxAppDeps): express.Express {
  const { database, clock, tokens, settings, webhookUrl } = deps;
  const control = deps.control ?? createSimulatedControl(database);
  const app = express();
  app.disable('x-powered-by');
  // The real services send no ETags, and a 304 would surprise their clients.
  app.disable('etag');
  app.use(refuseOtherHosts);
  const faults = createFaults(database);

  if (deps.wakeMachines !== undefined) app.use('/hetzner/v1', afterChanges(deps.wakeMachines));
  app.use('/hetzner/v1', faults.middleware('hetzner'), createHetznerRouter({ database, tokens, settings }));
  app.use('/tailscale', faults.middleware('tailscale'), createTailscaleRouter({ database, tokens, control }));
  app.use('/github', faults.middleware('github'), createGithubRouter({ database, tokens, settings }));
  app.use('/v1', faults.middleware('stripe'), createStripeRouter({ database, tokens }));
  // Open to everyone, as a machine's real health port is.
  app.use('/sandbox/machines', faults.middleware('machines'));
  app.use('/sandbox', createMachinesRouter(database));

  app.use(['/checkout', '/portal', '/invoice', '/sandbox'], refuseOtherUsers(deps.users ?? []));
  const homeUrl = new URL('/', webhookUrl).href;
  app.use('/checkout', createCheckoutRouter({ database, homeUrl }));

  app.use('/portal', createPortalRouter({ database }));
  app.use('/invoice', createInvoicePageRouter({ database }));

  app.use('/sandbox', faults.router);
  if (!settings.realMachines) app.use('/sandbox', createHandMadeRouter({ database, joinTailnet }));
  app.use('/sandbox', createCredentialsRouter(database, tokens));
  app.use('/sandbox', createNetworkRouter(deps.network ?? (() => ({ machines: 'simulated' }))));
  app.use('/sandbox', createValidationRouter(database));
  app.use('/sandbox', createClockRouter(clock));
  app.use('/sandbox/stripe', createStripeControlsRouter({ database }));

  app.use((_request, response) => {
    response.status(404).json({ type: 'about:blank', title: 'Not found', status: 404 });
  });
  app.use(answerError);
  return app;
}

/** Calls back when a request that is no mere question is over, even if its client has hung up. */
function afterChanges(changed: () => void): RequestHandler {
  return ({ method }, response, next) => {
    if (method !== 'GET' && method !== 'HEAD') response.once('close', changed);
    next();
  };
}

const answerError: ErrorRequestHandler = (error, request, response, next) => {
  if (response.headersSent) return next(error);
  const status = typeof error?.status === 'number' && error.status < 500 ? error.status : 500;
  if (status === 500) console.error(`sandbox ${request.method} ${request.path}: ${error?.message ?? error}`);
  response.status(status).json({ type: 'about:blank', title: 'The request failed', status });
};
