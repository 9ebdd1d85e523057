/** The sandbox's own place in the world; no server is sold with it. */
export const CONTROL_ADDRESS = '198.18.0.1';
/**
 * Where its control server listens. A private address: with any other, a tailscaled that has lost its connection and makes another within two minutes
 * insists on TLS, which is not spoken here, and goes on so for ever.
 */
export const LOGIN_ADDRESS = '10.254.254.1';
export const CONTROL_PORT = 8080;
/** Where the controller's own place on the tailnet is. */
export const CONTROLLER_ADDRESS = '198.18.0.2';
/** Where every cloud tells a server about itself. */
export const METADATA_ADDRESS = '169.254.169.254';
/** The gateway's socket in the world's folder. */
export const GATE = 'gate.sock';
