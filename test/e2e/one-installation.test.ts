import { describe } from 'vitest';
import type { Installation } from '../support/installation.ts';
import { useInstallation } from '../support/use-installation.ts';
import { testBadAnswers } from './one-installation/bad-answers.ts';
import { testClientLife } from './one-installation/client-life.ts';
import { testMoney } from './one-installation/money.ts';
import { testVanishedDevice } from './one-installation/vanished-device.ts';

// The start of an installation takes as long as several agents, so these suites take turns in one.
let installation: Installation;

useInstallation(
  (started) => {
    installation = started;
  },
  // One engine process is enough for suites that do one thing after another.
  { WORKER_CONCURRENCY: '1' },
);

const get = () => installation;

describe('bad answers', () => testBadAnswers(get));
describe('the generated client', () => testClientLife(get));
describe('a device that has vanished', () => testVanishedDevice(get));
// The last one: it moves the clock by months.
describe('money', () => testMoney(get));
