// npm run rehearse: the clouds and the Postgres of a rehearsal (src/cli/rehearse.ts), until Ctrl-C.
import { runNode24, serviceEnvironment, serviceOptions } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

// The file describes an installation, which this is not.
delete process.env.ENV_FILE;
const env = await setUp({ tools: ['pulumi', 'ansible'] });
await runNode24('src/cli/rehearse.ts', process.argv.slice(2), {
  env: { ...env, ...serviceEnvironment },
  channel: true,
  nodeOptions: serviceOptions,
});
