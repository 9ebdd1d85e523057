// fetch-to-file.mjs URL FILE: downloads a file and prints its progress; on failure the last line is the
// reason.
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { say } from '../../src/processes/terminal-text.mjs';

const answerTimeoutSeconds = 6;
const stallTimeoutSeconds = 20;
const [url, file] = process.argv.slice(2);
if (url === undefined || file === undefined) throw new Error('fetch-to-file.mjs URL FILE');

const stop = new AbortController();
/** @type {NodeJS.Timeout} */
let timer;
const expectWithin = (/** @type {number} */ seconds) => {
  clearTimeout(timer);
  timer = setTimeout(() => stop.abort(new Error(`no data for ${seconds} s`)), seconds * 1000);
};

try {
  expectWithin(answerTimeoutSeconds);
  const response = await fetch(url, { signal: stop.signal });
  if (!response.ok || response.body === null) throw new Error(`it answered ${response.status}`);
  const total = Number(response.headers.get('content-length') ?? 0);
  let received = 0;
  const counted = async function* (/** @type {AsyncIterable<Uint8Array>} */ chunks) {
    for await (const chunk of chunks) {
      expectWithin(stallTimeoutSeconds);
      const before = received;
      received += chunk.length;
      if (Math.floor(before / 1e6) !== Math.floor(received / 1e6)) say(megabytes(received, total));
      yield chunk;
    }
  };
  await pipeline(Readable.fromWeb(/** @type {any} */ (response.body)), counted, createWriteStream(file), {
    signal: stop.signal,
  });
  if (total !== 0 && received !== total)
    throw new Error(`the download broke off at ${megabytes(received, total)}`);
  process.exit(0);
} catch (error) {
  const reason = stop.signal.aborted ? stop.signal.reason : error;
  const cause = reason.cause?.code ?? reason.cause?.message;
  say(`could not reach ${new URL(url).host}: ${cause ?? reason.message}`);
  process.exit(1);
}

/**
 * @param {number} received
 * @param {number} total
 */
function megabytes(received, total) {
  const of = total === 0 ? '' : ` of ${Math.round(total / 1e6)}`;
  return `${Math.round(received / 1e6)}${of} MB`;
}
