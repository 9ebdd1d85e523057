import { join } from 'node:path';
import { readConfig, type SandboxConfig } from '../../config/config.ts';
import { type Environment, EnvironmentReader } from '../../config/environment-reader.ts';
import { childEnvironment } from '../../config/process-environment.ts';

/** What the clouds read besides: about this machine and about the sandbox, never about an installation. */
const OWN = /^(SANDBOX_|AGENT_STACKS_|CACHE_DIR$|XDG_CACHE_HOME$|SUDO_UID$)/;

/**
 * Reads the configuration of a rehearsal's clouds. Nothing of the rehearsed installation's own environment
 * counts, which may be in this terminal too.
 * @throws ConfigError
 */
export function readCloudsConfig(
  environment: Environment,
  { dir, port }: { dir: string; port: string },
): SandboxConfig {
  const own = Object.entries(environment).filter(([name]) => OWN.test(name));
  const config = readConfig({
    ...childEnvironment(new EnvironmentReader(environment), []),
    ...Object.fromEntries(own),
    MODE: 'sandbox',
    DATA_DIR: join(dir, 'clouds'),
    PORT: port,
    SANDBOX_GITHUB: 'no-token',
    // An installation makes its own endpoint, as at Stripe.
    SANDBOX_WEBHOOK: 'off',
  });
  return config as SandboxConfig;
}
