import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  type EnvironmentLine,
  formatEnvironmentFile,
  parseEnvironmentFile,
  writePrivateFile,
} from '../../config/environment-file.ts';
import { CommandError } from '../connection.ts';
import type { Asker } from './asker.ts';
import { tidyProjects } from './hetzner-questions.ts';
import { ensurePolicy } from './policy.ts';
import type { Answers, Question } from './question.ts';
import { findProblem, QUESTIONS } from './questions.ts';
import { remainingSteps } from './remaining.ts';
import { ensureWebhook } from './webhook.ts';

export interface InitOptions {
  /** The environment file that is written. */
  file: string;
  /** A file with answers that are known already. */
  answers: string | undefined;
  /** Only this part of an installation that has its file. */
  only: 'webhook' | 'policy' | undefined;
  /** Whether an existing file may be replaced without a question. */
  replaces: boolean;
  /**
   * Whether nobody is asked: then the policy of a live tailnet is changed only if that is all that is asked
   * for.
   */
  isSilent: boolean;
}

/**
 * Asks for what live mode needs, tries each answer at once, and writes the environment file. The file is
 * written before anything is made at a vendor, and again as soon as that gives something to keep: a kill at
 * any line leaves a file from which the next run continues.
 * @throws CommandError
 */
export async function runInit(asker: Asker, options: InitOptions): Promise<void> {
  const file = resolve(options.file);
  const known = readKnown(file, options.answers);
  if (options.only !== undefined) return runPart(asker, options.only, file, known);
  let isOurs = options.replaces || !existsSync(file);
  if (!isOurs && !options.isSilent)
    isOurs = await asker.confirm(
      `${file} exists. Replace it at the end? What it says is offered as answers`,
      true,
    );
  if (!isOurs)
    throw new CommandError(
      `${file} exists and was left alone. Name another with --file, or replace it with --replace.`,
    );
  const answers = await askAll(asker, known);
  const save = () => writeFile(file, answers, { isNew: !existsSync(file) });
  save();
  asker.say('\nStripe’s webhook endpoint');
  await ensureWebhook(asker, answers, (variable, value) => {
    answers[variable] = value;
    save();
  });
  await markRest(asker, answers, options);
  asker.say(remainingSteps(file, answers));
}

async function markRest(asker: Asker, answers: Answers, { isSilent }: InitOptions): Promise<void> {
  asker.say('\nThe tailnet’s policy');
  if (isSilent && answers.MODE === 'live')
    asker.say('  Look at the difference, and apply it: npm run agents -- init --only policy');
  else await ensurePolicy(asker, answers);
}

async function runPart(
  asker: Asker,
  part: 'webhook' | 'policy',
  file: string,
  answers: Answers,
): Promise<void> {
  if (!existsSync(file)) throw new CommandError(`There is no ${file}: run init without --only first`);
  if (part === 'policy') return ensurePolicy(asker, answers);
  await ensureWebhook(asker, answers, (variable, value) => {
    answers[variable] = value;
    writeFile(file, answers, { isNew: false });
    asker.say(`  ${file} has the new secret: start the service again.`);
  });
}

function readKnown(file: string, answersFile: string | undefined): Answers {
  const read = (path: string) => {
    try {
      return parseEnvironmentFile(readFileSync(path, 'utf8'));
    } catch (error) {
      throw new CommandError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  };
  const entries = [
    ...(existsSync(file) ? Object.entries(read(file)) : []),
    ...(answersFile === undefined ? [] : Object.entries(read(answersFile))),
  ];
  return Object.fromEntries(entries.filter(([, value]) => value !== ''));
}

async function askAll(asker: Asker, known: Answers): Promise<Answers> {
  const answers: Answers = { MODE: 'live', ...known };
  if (answers.MODE === 'rehearsal') answers.PUBLIC_URL ??= `http://127.0.0.1:${answers.PORT ?? '8080'}`;
  for (const question of QUESTIONS) {
    await askOne(asker, question, answers);
    for (const further of question.further?.(answers) ?? []) await askOne(asker, further, answers);
  }
  for (const variable of tidyProjects(answers))
    asker.say(`\n${variable} is left out: HCLOUD_PROJECTS does not name its project.`);
  answers.API_TOKEN ??= randomBytes(24).toString('hex');
  answers.PULUMI_CONFIG_PASSPHRASE ??= randomBytes(24).toString('hex');
  return answers;
}

async function askOne(asker: Asker, question: Question, answers: Answers): Promise<void> {
  const { variable, title, where, isSecret, initial } = question;
  asker.say(`\n${title}\n  ${where}`);
  answers[variable] = await asker.ask(variable, {
    isSecret,
    initial: answers[variable] ?? initial,
    check: (text) => findProblem(question, { ...answers, [variable]: text }),
  });
  if (question.probes(answers).length > 0) asker.say(`  ${variable} works.`);
}

const HEADING = [
  'Written by: npm run agents -- init',
  'Keep PULUMI_CONFIG_PASSPHRASE where the backups are not.',
  '',
];

function writeFile(file: string, answers: Answers, { isNew }: { isNew: boolean }): void {
  const lines: EnvironmentLine[] = [...HEADING, ...Object.entries(answers)];
  try {
    writePrivateFile(file, formatEnvironmentFile(lines), { isNew });
  } catch (error) {
    throw new CommandError(`${file} cannot be written in ${dirname(file)}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
