import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from '../config/config-error.ts';
import { useOwnEnvironment } from '../config/process-environment.ts';
import { errorMessage } from '../errors.ts';
import { untilStopped } from '../processes/stop-signals.ts';
import { complain, say } from '../processes/terminal-text.mjs';
import { StoppedError } from '../processes/waiting.ts';
import { openClouds } from './rehearsal/clouds.ts';
import { readCloudsConfig } from './rehearsal/clouds-config.ts';

/**
 * `npm run rehearse`: the clouds of a rehearsal, which are a sandbox without a service of its own, and a
 * Postgres for the installation that is rehearsed. They run until Ctrl-C, and the next start continues.
 */
const HELP = `Usage: npm run rehearse -- [--dir FOLDER] [--port PORT]

Starts Stripe, Hetzner, Tailscale and a Postgres on this machine, for an installation in MODE=rehearsal.
Writes their credentials to FOLDER/clouds.env, which \`agents init --answers\` reads.

  --dir FOLDER   where everything of the rehearsal is kept (.rehearsal)
  --port PORT    the port of the installation that is rehearsed (8090)`;

const DEFAULT_PORT = 8090;

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      dir: { type: 'string', default: '.rehearsal' },
      port: { type: 'string', default: String(DEFAULT_PORT) },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const dir = resolve(values.dir);
  const config = readCloudsConfig(process.env, { dir, port: values.port });
  useOwnEnvironment(process.env, config.childEnvironment);
  const stopped = untilStopped();
  try {
    const clouds = await openClouds(config, { dir, say, signal: stopped.signal });
    try {
      say(clouds.introduction);
      await stopped.promise;
    } finally {
      say('\nStopping the clouds; everything in them is kept …');
      await clouds.stop();
    }
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
  }
  say('Stopped.');
  return 0;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const isOurs =
    error instanceof ConfigError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  complain(isOurs ? errorMessage(error) : `The rehearsal failed: ${errorMessage(error)}`);
  process.exit(isOurs ? 2 : 1);
}
