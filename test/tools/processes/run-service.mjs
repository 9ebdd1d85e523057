// Replaces tools/start.mjs: runs the given script as the service, with the channel.
import { runNode24 } from '../../../tools/setup/node24.mjs';

await runNode24(/** @type {string} */ (process.argv[2]), process.argv.slice(3), {
  env: process.env,
  channel: true,
});
