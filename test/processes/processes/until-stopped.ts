import { untilStopped } from '../../../src/processes/stop-signals.ts';

const { promise, signal } = untilStopped();
const alive = setInterval(() => {}, 1_000);
console.log('ready');
await promise;
console.log(`stopping ${signal.aborted}`);
process.on('message', () => {
  clearInterval(alive);
  process.disconnect?.();
});
process.stdin.once('data', () => process.exit(0));
