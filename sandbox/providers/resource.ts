import type { Properties } from './values.ts';

/** What surrounds one call of the engine. */
export interface CallContext {
  /** Aborted when the CLI cancels, the host aborts, the CLI's connection is lost, or the time is up. */
  signal: AbortSignal;
  /** The logical name, the last part of the URN. */
  name: string;
  /** Shows a line beside the resource while it is worked on; it is not kept. */
  showStatus(line: string): void;
}

export interface CheckFailure {
  property: string;
  reason: string;
}

export interface CheckResult {
  /** Inputs that the provider adds to those it was given, such as a generated name. */
  added?: Properties;
  failures?: CheckFailure[];
}

export type ChangeKind = 'add' | 'delete' | 'update';

export interface PropertyChange {
  /** The path in the resource's properties: `labels.color`, `image`. */
  path: string;
  kind: ChangeKind;
  replaces: boolean;
}

export interface DiffResult {
  changes: PropertyChange[];
  /** Whether a replacement must delete the old resource first. */
  deleteBeforeReplace: boolean;
}

export interface DiffInput {
  oldInputs: Properties;
  /** The outputs as last recorded. */
  state: Properties;
  inputs: Properties;
}

export interface ReadResult {
  id: string;
  state: Properties;
  /** What a program would have had to say to get this state. */
  inputs: Properties;
}

/** One resource type: `Client` is what it works with, made anew from the environment for each call. */
export interface Resource<Client> {
  check(inputs: Properties, old: Properties, context: { name: string; suffix: string }): CheckResult;
  diff(input: DiffInput): DiffResult;
  /** Outputs as far as they are known before a create, or before an update of `state`. */
  preview(inputs: Properties, state?: Properties): Properties;
  /** Throws `InitializationFailed` where the resource exists already when something fails. */
  create(
    client: Client,
    inputs: Properties,
    context: CallContext,
  ): Promise<{ id: string; state: Properties }>;
  /** Undefined where the resource is gone. `state` is empty at an import. */
  read(
    client: Client,
    id: string,
    known: { state: Properties; inputs: Properties },
    context: CallContext,
  ): Promise<ReadResult | undefined>;
  update(client: Client, id: string, change: DiffInput, context: CallContext): Promise<Properties>;
  delete(client: Client, id: string, state: Properties, context: CallContext): Promise<void>;
  /** Outputs that are secret given which inputs are; without it: those that are secret as inputs. */
  secretOutputs?(secretInputs: ReadonlySet<string>): ReadonlySet<string>;
  /** How long a call may take where the program does not say. Seconds; none: for ever. */
  defaultTimeoutSeconds?: { create?: number; read?: number; update?: number; delete?: number };
}

export type Invoke<Client> = (client: Client, args: Properties, context: CallContext) => Promise<Properties>;

/** One Pulumi package, such as `hcloud`. */
export interface ProviderPackage<Client> {
  name: string;
  /** The version of the official provider whose place it takes. */
  version: string;
  resources: Record<string, Resource<Client>>;
  invokes: Record<string, Invoke<Client>>;
  /** Makes the client, or throws what is wrong with the settings. `config` is the provider's own arguments. */
  connect(environment: Readonly<Record<string, string>>, config: Properties): Client;
}
