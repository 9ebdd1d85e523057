import express from 'express';

/** How a controller comes to its place on the tailnet: what real machines' network means for whoever configures them. */
export type Network =
  | { machines: 'simulated' }
  | {
      machines: 'real';
      /** For `tailscale up --login-server`. */
      loginServer: string;
      /** Words to put before a command so that it runs where the controller is: beside the machines, in a namespace of its own. */
      enter: string[];
      /** The programs to use there. */
      tailscale: string;
      tailscaled: string;
      /** What they need to be told there. */
      environment: Record<string, string>;
    };

/** `GET /network`; to be mounted under `/sandbox`. */
export function createNetworkRouter(network: () => Network): express.Router {
  const router = express.Router();
  router.get('/network', (_request, response) => {
    response.json(network());
  });
  return router;
}
