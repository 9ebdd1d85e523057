// Replaces src/main.ts: records what reaches it, and stops in its own time instead of when told.
import { appendFileSync } from 'node:fs';

const [, , logFile, exitCode] = process.argv;
const note = (/** @type {string} */ line) => appendFileSync(/** @type {string} */ (logFile), `${line}\n`);
const stop = () =>
  setTimeout(() => {
    note('stopped');
    process.exit(Number(exitCode));
  }, 200);
process.on('SIGINT', () => note('SIGINT')).on('SIGINT', stop);
process.on('SIGTERM', () => note('SIGTERM')).on('SIGTERM', stop);
process.on('disconnect', () => note('disconnect')).on('disconnect', stop);
setInterval(() => {}, 1000);
note(`started ${process.pid} ${process.version.split('.')[0]}`);
