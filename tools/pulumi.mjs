// npm run pulumi -- <args>: the plain Pulumi CLI against this installation's backend.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

await runNode24('src/cli/pulumi.ts', process.argv.slice(2), { env: await setUp({ tools: ['pulumi'] }) });
