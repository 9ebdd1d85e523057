import { mkdirSync } from 'node:fs';
import { foundationName, type KnownDevice } from '../../../stacks/inputs.ts';
import type { AgentProgram, StackProgram } from '../../../stacks/program.ts';
import { PASSPHRASE, type SecretsProvider } from '../../config/secrets-provider.ts';
import { PermanentError, RetryableError } from '../../errors.ts';
import type { Keyring } from '../../keys/keyring.ts';
import type { Log } from '../../log.ts';
import type { Lease } from '../../processes/lease.ts';
import { Secret } from '../../secret.ts';
import type { ReportSpan } from '../../telemetry/span.ts';
import type { StatePassphrases } from '../state-passphrases.ts';
import type { SeedResource, StateStore } from '../state-store.ts';
import {
  type ConfigureKeys,
  type ConfigureSettings,
  configureEnvironment,
  logFile,
} from './configure-environment.ts';
import { logLine } from './engine-events.ts';
import type { EnginePool } from './engine-pool.ts';
import { followRun } from './engine-spans.ts';
import { followAnsible } from './follow-ansible.ts';
import { makeAgentStack, seedProvider, toStackName } from './make-stack.ts';
import type { FoundResource, Progress, StackResult, StackTask, StackWork } from './messages.ts';

/** The parts of an attempt that the engine needs. */
export interface EngineAttempt {
  operation: { operation_id: string; attempt: number };
  /** Whose Hetzner project the stack's resources are in; undefined for work that asks no cloud. */
  agent?: { project: string } | undefined;
  signal: AbortSignal;
  lease: Lease;
  backendUrl: Secret;
  log(line: string): void;
  span?: ReportSpan | undefined;
  /** Records what a run found of a whole stack. Unset: nobody wants to know. */
  foundResources?: TellResources | undefined;
}

export type TellResources = (
  stackName: string,
  verb: StackWork['verb'],
  resources: readonly FoundResource[],
) => void;

/** Runs the Pulumi engine on one stack for an attempt. @throws one of our errors */
export interface StackEngine {
  up(
    attempt: EngineAttempt,
    program: StackProgram,
    options: {
      mayBeNew: boolean;
      /** What a new stack begins with; default: nothing. */
      seed?: readonly SeedResource[] | undefined;
      keys?: ConfigureKeys;
      /** The server becomes an image: it is configured without an agent, cleaned, and switches itself off. */
      becomesImage?: boolean;
      onProgress?: (progress: Progress) => void;
    },
  ): Promise<StackResult>;
  /**
   * Creates the tailnet key of the inputs' generation and touches nothing else in an existing stack.
   * @returns the user data for the server's reinstallation.
   */
  renewKey(attempt: EngineAttempt, program: AgentProgram & { device: KnownDevice }): Promise<Secret>;
  /**
   * Takes what exists, and `found` names, into the stack's state, which begins with `seed` unless there is
   * one. Changes nothing at a cloud.
   * @throws StackDiffersError if the state that is there says something else
   */
  importStack(
    attempt: EngineAttempt,
    program: AgentProgram,
    seed: readonly SeedResource[],
  ): Promise<StackResult>;
  /**
   * Updates the state from the clouds and clears pending creates of a killed run.
   * @throws StackNotFoundError
   */
  refresh(attempt: EngineAttempt, stackName: string): Promise<StackResult>;
  /** Deletes the stack's resources, then the stack itself. A missing stack is fine. */
  destroy(attempt: EngineAttempt, stackName: string): Promise<StackResult>;
  /**
   * Renames a stack, with its history.
   * @throws StackNotFoundError, StackExistsError
   */
  rename(attempt: EngineAttempt, stackName: string, to: string): Promise<StackResult>;
  /** Moves a stack's secrets to the configured provider, and does nothing else. @throws StackLockedError */
  move(attempt: EngineAttempt, stackName: string): Promise<void>;
  /** Removes the lock that a dead process left behind. */
  unlock(attempt: EngineAttempt, stackName: string): Promise<void>;
}

export interface StackEngineSettings {
  pool: EnginePool;
  state: StateStore;
  /** Undefined for backends where the passphrase stays. */
  passphrases: StatePassphrases | undefined;
  keyring: Keyring;
  log?: Log;
  /** Backend, credentials for a Hetzner project, PATH: as they are when a task begins. */
  environment: (project: string | undefined) => Record<string, string>;
  /** What encrypts the secrets in the stacks' state, and which provider the stacks are moved away from. */
  secrets: Pick<SecretsProvider, 'url' | 'before'>;
  configure: ConfigureSettings;
}

/** Runs stacks on this machine, through the Automation API. */
export function createStackEngine(settings: StackEngineSettings): StackEngine {
  const { configure } = settings;
  mkdirSync(configure.logDir, { recursive: true, mode: 0o700 });
  const run = createRun(settings);
  return {
    up: async (attempt, program, { mayBeNew, seed, keys, becomesImage, onProgress }) => {
      const ansible = followAnsible(logFile(configure, attempt), attempt);
      const environment = {
        ...configureEnvironment(configure, attempt, keys),
        ...ansible.environment,
        ...(program.stack === 'agent' && { AGENT_VERSION: program.inputs.configurationVersion }),
        ...(becomesImage === true && { AGENT_PURPOSE: 'image' }),
      };
      const made = mayBeNew && (await makeAgentStack(settings, program, seed));
      try {
        const work: StackWork = { verb: 'up', program, mayBeNew: mayBeNew && !made };
        return await run(attempt, toStackName(program), work, { environment, onProgress });
      } finally {
        await ansible.stop();
      }
    },
    renewKey: async (attempt, program) => {
      const { userData } = await run(attempt, toStackName(program), { verb: 'renew-key', program });
      if (userData === undefined) throw new RetryableError('The run did not return the new tailnet key');
      return new Secret(userData);
    },
    importStack: async (attempt, program, resources) => {
      const like = foundationName(program.inputs.project);
      const seed = { like, provider: await seedProvider(settings, like), resources };
      if (!(await settings.state.makeSeeded(toStackName(program), seed)))
        throw new PermanentError(
          'A stack can be imported only where Pulumi’s state is in Postgres, beside that of its foundation',
        );
      return run(attempt, toStackName(program), { verb: 'import', program });
    },
    refresh: (attempt, stackName) => run(attempt, stackName, { verb: 'refresh' }),
    destroy: (attempt, stackName) => run(attempt, stackName, { verb: 'destroy' }),
    rename: (attempt, stackName, to) => run(attempt, stackName, { verb: 'rename', to }),
    move: async (attempt, stackName) => void (await run(attempt, stackName, { verb: 'move' })),
    unlock: async (attempt, stackName) => void (await run(attempt, stackName, { verb: 'unlock' })),
  };
}

/** Returns a function that runs a task in the pool, with the settings that all tasks of an attempt share. */
function createRun(settings: StackEngineSettings) {
  return async (
    attempt: EngineAttempt,
    stackName: string,
    work: StackWork,
    { environment, onProgress }: RunExtras = {},
  ) => {
    const task: StackTask = {
      ...work,
      ...(await secretsOf(settings, stackName, work)),
      stackName,
      operationId: attempt.operation.operation_id,
      environment: {
        ...settings.environment(attempt.agent?.project),
        PULUMI_CONFIG_PASSPHRASE: (await passphraseFor(settings, stackName)).reveal(),
        PULUMI_BACKEND_URL: attempt.backendUrl.reveal(),
        ...environment,
      },
    };
    const spans = attempt.span && followRun(attempt.span, work.verb);
    const running = settings.pool.run(task, {
      signal: attempt.signal,
      lease: attempt.lease,
      onLog: ({ event, ...line }) =>
        settings.log?.info({ event, process: 'engine', ...line }, `${line.verb} of ${stackName}`),
      onProgress: (progress) => {
        attempt.log(logLine(progress));
        spans?.onProgress(progress);
        onProgress?.(progress);
      },
    });
    running.then(
      () => spans?.end('success'),
      () => spans?.end('failure'),
    );
    const result = await running;
    if (result.resources !== undefined) attempt.foundResources?.(stackName, work.verb, result.resources);
    // A failed prune must not fail a run that has succeeded; the next run prunes again.
    await settings.state.prune(stackName).catch(() => {});
    return result;
  };
}

/**
 * Returns which secrets provider a new stack gets, and whether an existing one is to be moved to it: away
 * from the passphrase, or from the provider that is named as the previous one. Any other stack is left as it
 * is, since its state names what opens it, and a runner that does not know the key must not move it back.
 */
async function secretsOf(
  { state, secrets: { url: wanted, before } }: StackEngineSettings,
  stackName: string,
  { verb }: StackWork,
): Promise<Pick<StackTask, 'secretsProvider' | 'moveSecretsTo'>> {
  if (verb === 'destroy' || verb === 'unlock' || verb === 'rename') return {};
  const present = await state.secretsProvider(stackName);
  if (present === undefined) return wanted === PASSPHRASE ? {} : { secretsProvider: wanted };
  return present !== wanted && [PASSPHRASE, before].includes(present) ? { moveSecretsTo: wanted } : {};
}

/**
 * The passphrase that the stack's secrets are encrypted with; for a new stack the one that seals now. While
 * the passphrase changes, the attempt that has the stack moves it.
 */
async function passphraseFor(settings: StackEngineSettings, stackName: string): Promise<Secret> {
  const { keyring, passphrases } = settings;
  const { sealing, current, former } = keyring;
  if (former === undefined || passphrases === undefined) return sealing.passphrase;
  const found = await passphrases.find(stackName, keyring.all);
  if (found === undefined || found.id === sealing.id) return sealing.passphrase;
  // Other processes may not know the new one yet.
  if (sealing.id !== current.id) return found.passphrase;
  await passphrases.move(stackName, found, sealing);
  return sealing.passphrase;
}

interface RunExtras {
  environment?: Record<string, string>;
  onProgress?: ((progress: Progress) => void) | undefined;
}
