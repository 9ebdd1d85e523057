import { join, resolve } from 'node:path';
import type { Secret } from '../secret.ts';
import { ConfigError } from './config-error.ts';
import { readFiles } from './credential-files.ts';
import { type Environment, EnvironmentReader } from './environment-reader.ts';
import { httpUrl } from './fields.ts';
import { readOperatorUrl } from './operator-listener.ts';

/** Where the operator's commands find the running service. What is undefined here is in `sandboxFile`. */
export interface ClientConfig {
  url: string | undefined;
  apiToken: Secret | undefined;
  /** `sandbox.json` of a service in sandbox mode; exists while the service runs. */
  sandboxFile: string;
}

/** Reads the configuration of the operator's commands. @throws ConfigError */
export function readClientConfig(given: Environment): ClientConfig {
  const { environment, problems } = readFiles(given);
  const reader = new EnvironmentReader(environment);
  reader.problems.push(...problems);
  const publicUrl = reader.read('PUBLIC_URL', httpUrl)?.replace(/\/+$/, '');
  const url = readOperatorUrl(reader) ?? publicUrl;
  const config = {
    url,
    apiToken: reader.secret('API_TOKEN'),
    sandboxFile: join(resolve(reader.text('DATA_DIR') ?? '.data'), 'sandbox.json'),
  };
  if (reader.problems.length > 0) throw new ConfigError(reader.problems.join('\n'));
  return config;
}
