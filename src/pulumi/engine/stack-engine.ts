import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { agentName, foundationName, type KnownDevice } from '../../../stacks/inputs.ts';
import type { AgentProgram, StackProgram } from '../../../stacks/program.ts';
import { RetryableError } from '../../errors.ts';
import type { Lease } from '../../processes/lease.ts';
import { Secret } from '../../secret.ts';
import type { StateStore } from '../state-store.ts';
import { logLine } from './engine-events.ts';
import type { EnginePool } from './engine-pool.ts';
import { followProgress } from './follow-log.ts';
import type { Progress, StackResult, StackTask } from './messages.ts';

/** What the engine needs to know of the attempt for which it works. */
export interface EngineAttempt {
  operation: { operation_id: string; attempt: number };
  signal: AbortSignal;
  lease: Lease;
  backendUrl: Secret;
  log(line: string): void;
}

/** The keys that the configuration run is given. */
export interface ConfigureKeys {
  sshPrivateKey: string;
  hostPublicKey: string;
  nextHostPublicKey: string;
  nextHostPrivateKey: string;
}

/** The Pulumi engine on one stack, on behalf of an attempt. @throws one of our errors */
export interface StackEngine {
  up(
    attempt: EngineAttempt,
    program: StackProgram,
    options: { mayBeNew: boolean; keys?: ConfigureKeys; onProgress?: (progress: Progress) => void },
  ): Promise<StackResult>;
  /**
   * Makes the tailnet key of the inputs' generation and touches nothing else of a stack that is there.
   * @returns what the server is to be told when it is installed anew.
   */
  renewKey(attempt: EngineAttempt, program: AgentProgram & { device: KnownDevice }): Promise<Secret>;
  /** Compares the state with the clouds; pending creates of a killed run are cleared. @throws StackNotFoundError */
  refresh(attempt: EngineAttempt, program: StackProgram): Promise<StackResult>;
  /** Deletes the stack's resources, then the stack itself. A stack that is not there is fine. */
  destroy(attempt: EngineAttempt, program: StackProgram): Promise<StackResult>;
  /** Takes away the lock that a dead process left. */
  unlock(attempt: EngineAttempt, program: StackProgram): Promise<void>;
}

export interface StackEngineSettings {
  pool: EnginePool;
  state: StateStore;
  /** Backend, passphrase, credentials, PATH. */
  environment: Record<string, string>;
  configure: {
    /** The script that the stack's command resource runs. */
    path: string;
    connection: 'ssh' | 'simulated';
    /** OpenSSH's `ProxyCommand`, through the controller's place on the tailnet. */
    proxyCommand?: string | undefined;
    ansibleBin: string | undefined;
    timeoutSeconds: number;
    /** Folder for the log of each run, a file an attempt. */
    logDir: string;
    /** What says what an agent is (src/config/software.ts). */
    software: Record<string, string>;
  };
}

/** Carries attempts out on this machine, through the Automation API. */
export function createStackEngine(settings: StackEngineSettings): StackEngine {
  mkdirSync(settings.configure.logDir, { recursive: true, mode: 0o700 });
  const runTask = async (attempt: EngineAttempt, task: TaskOfRun) => {
    const { environment, onProgress, ...rest } = task;
    const name = stackName(task.program);
    const result = await settings.pool.run(
      {
        stackName: name,
        mayBeNew: false,
        environment: {
          ...settings.environment,
          PULUMI_BACKEND_URL: attempt.backendUrl.reveal(),
          ...environment,
        },
        ...rest,
      },
      {
        signal: attempt.signal,
        lease: attempt.lease,
        onProgress: (progress) => {
          attempt.log(logLine(progress));
          onProgress?.(progress);
        },
      },
    );
    // A longer history than wanted is no reason to fail what has succeeded; the next run prunes it.
    await settings.state.prune(name).catch(() => {});
    return result;
  };
  return {
    up: async (attempt, program, { mayBeNew, keys, onProgress }) => {
      const progressFile = `${logFile(settings.configure, attempt)}.progress`;
      const environment = {
        ...configureEnvironment(settings.configure, attempt, keys),
        AGENT_PROGRESS_FILE: progressFile,
      };
      const made = mayBeNew && (await makeAgentStack(settings.state, program));
      const stopFollowing = followProgress(progressFile, attempt.log);
      try {
        return await runTask(attempt, {
          verb: 'up',
          program,
          mayBeNew: mayBeNew && !made,
          environment,
          onProgress,
        });
      } finally {
        await stopFollowing();
        await rm(progressFile, { force: true }).catch(() => {});
      }
    },
    renewKey: async (attempt, program) => {
      const { userData } = await runTask(attempt, { verb: 'renew-key', program });
      if (userData === undefined) throw new RetryableError('The new tailnet key did not become known');
      return new Secret(userData);
    },
    refresh: (attempt, program) => runTask(attempt, { verb: 'refresh', program }),
    destroy: (attempt, program) => runTask(attempt, { verb: 'destroy', program }),
    unlock: async (attempt, program) => void (await runTask(attempt, { verb: 'unlock', program })),
  };
}

/** An agent's stack begins as its foundation's does, without a process for `stack init`. */
async function makeAgentStack(state: StateStore, program: StackProgram): Promise<boolean> {
  if (program.stack !== 'agent') return false;
  return state.makeEmpty(stackName(program), foundationName(program.inputs.project));
}

type TaskOfRun = Pick<StackTask, 'verb' | 'program'> &
  Partial<Pick<StackTask, 'mayBeNew' | 'environment'>> & {
    onProgress?: ((progress: Progress) => void) | undefined;
  };

export function stackName(program: StackProgram): string {
  return program.stack === 'agent'
    ? agentName(program.inputs.agentId)
    : foundationName(program.inputs.project);
}

/** What the configuration script reads (ansible/configure): by environment, so that no secret is an argument or in the state. */
export function configureEnvironment(
  configure: StackEngineSettings['configure'],
  attempt: { operation: { operation_id: string; attempt: number } },
  keys: ConfigureKeys | undefined,
): Record<string, string> {
  return {
    AGENT_STACKS_CONFIGURE: configure.path,
    AGENT_CONNECTION: configure.connection,
    ...(configure.proxyCommand === undefined ? {} : { AGENT_SSH_PROXY_COMMAND: configure.proxyCommand }),
    AGENT_TIMEOUT_SECONDS: String(configure.timeoutSeconds),
    AGENT_LOG_FILE: logFile(configure, attempt),
    ...(configure.ansibleBin === undefined ? {} : { ANSIBLE_BIN: configure.ansibleBin }),
    ...configure.software,
    ...(keys === undefined ? {} : keyEnvironment(keys)),
  };
}

function logFile(
  { logDir }: StackEngineSettings['configure'],
  { operation }: { operation: { operation_id: string; attempt: number } },
): string {
  return join(logDir, `${operation.operation_id}-${operation.attempt}.log`);
}

/** The server shows its first host key until the first run has replaced it, so both are known. */
function keyEnvironment(keys: ConfigureKeys): Record<string, string> {
  return {
    AGENT_SSH_PRIVATE_KEY: keys.sshPrivateKey,
    AGENT_HOST_PUBLIC_KEY: `${keys.hostPublicKey}\n${keys.nextHostPublicKey}`,
    AGENT_NEW_HOST_KEY: keys.nextHostPrivateKey,
  };
}
