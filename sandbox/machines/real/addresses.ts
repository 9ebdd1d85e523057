/** The sandbox's own address on the machines' internet; no server gets it. */
export const CONTROL_ADDRESS = '198.18.0.1';
/**
 * Where its control server listens. It must be a private address: with any other, a tailscaled that
 * reconnects within two minutes insists on TLS, which is not served here, and never gives up.
 */
export const LOGIN_ADDRESS = '10.254.254.1';
export const CONTROL_PORT = 8080;
/** Where the controller's own node on the tailnet runs. */
export const CONTROLLER_ADDRESS = '198.18.0.2';
/** Where clouds serve a server's metadata. */
export const METADATA_ADDRESS = '169.254.169.254';
/** The gateway's socket in its working folder. */
export const GATE = 'gate.sock';
