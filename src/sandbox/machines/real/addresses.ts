/** The sandbox's own place in the world, where its control server listens; no server is sold with it. */
export const CONTROL_ADDRESS = '198.18.0.1';
export const CONTROL_PORT = 8080;
/** Where the controller's own place on the tailnet is. */
export const CONTROLLER_ADDRESS = '198.18.0.2';
/** Where every cloud tells a server about itself. */
export const METADATA_ADDRESS = '169.254.169.254';
/** The gateway's socket in the world's folder. */
export const GATE = 'gate.sock';
