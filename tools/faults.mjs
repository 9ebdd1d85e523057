// npm run faults -- --rounds N --seed S | --matrix | --scenarios: injects faults into a real installation.
import { runNode24 } from './setup/node24.mjs';
import { setUp } from './setup/set-up.mjs';

await runNode24('tools/faults/main.ts', process.argv.slice(2), {
  env: await setUp({ tools: ['pulumi', 'ansible'] }),
});
