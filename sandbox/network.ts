import express from 'express';

/** Where the controller's tailnet node runs: real machines are reached through their own network. */
export type Network =
  | { machines: 'simulated' }
  | {
      machines: 'real';
      /** For `tailscale up --login-server`. */
      loginServer: string;
      /** Prefix of a command that must run in the controller's own namespace on the machines' network. */
      enter: string[];
      /** A socket on which HTTP's CONNECT opens connections into the machines' network. */
      gate: string;
      /** The programs to use in that namespace. */
      tailscale: string;
      tailscaled: string;
      /** Environment variables that they need there. */
      environment: Record<string, string>;
    };

/** Serves `GET /network`. Mount it under `/sandbox`. */
export function createNetworkRouter(network: () => Network): express.Router {
  const router = express.Router();
  router.get('/network', (_request, response) => {
    response.json(network());
  });
  return router;
}
