import type { Properties } from './values.ts';

/** The context of one call of the engine. */
export interface CallContext {
  /** Aborts when the CLI cancels or disconnects, the host aborts, or the time limit is reached. */
  signal: AbortSignal;
  /** The logical name, the last part of the URN. */
  name: string;
  /** Shows a line beside the resource while it is in progress; it is not stored. */
  showStatus(line: string): void;
}

export interface CheckFailure {
  property: string;
  reason: string;
}

export interface CheckResult {
  /** Inputs that the provider adds, such as a generated name. */
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
  /** The last recorded outputs. */
  state: Properties;
  inputs: Properties;
}

export interface ReadResult {
  id: string;
  state: Properties;
  /** The inputs that would produce this state. */
  inputs: Properties;
}

/** One resource type. Each call gets a new `Client`, created from the environment. */
export interface Resource<Client> {
  check(inputs: Properties, old: Properties, context: { name: string; suffix: string }): CheckResult;
  diff(input: DiffInput): DiffResult;
  /** Returns the outputs that are known before a create, or before an update of `state`. */
  preview(inputs: Properties, state?: Properties): Properties;
  /** @throws InitializationFailed if something fails after the resource was created. */
  create(
    client: Client,
    inputs: Properties,
    context: CallContext,
  ): Promise<{ id: string; state: Properties }>;
  /** Returns undefined if the resource no longer exists. `state` is empty for an import. */
  read(
    client: Client,
    id: string,
    known: { state: Properties; inputs: Properties },
    context: CallContext,
  ): Promise<ReadResult | undefined>;
  update(client: Client, id: string, change: DiffInput, context: CallContext): Promise<Properties>;
  delete(client: Client, id: string, state: Properties, context: CallContext): Promise<void>;
  /** Returns the secret outputs for these secret inputs. Default: the outputs with the same names. */
  secretOutputs?(secretInputs: ReadonlySet<string>): ReadonlySet<string>;
  /** Default time limit of a call in seconds; unset: none. */
  defaultTimeoutSeconds?: { create?: number; read?: number; update?: number; delete?: number };
}

export type Invoke<Client> = (client: Client, args: Properties, context: CallContext) => Promise<Properties>;

/** One Pulumi package, such as `hcloud`. */
export interface ProviderPackage<Client> {
  name: string;
  /** The version of the official provider that it replaces. */
  version: string;
  resources: Record<string, Resource<Client>>;
  invokes: Record<string, Invoke<Client>>;
  /** Creates the client; `config` holds the provider's own arguments. @throws Error for invalid settings */
  connect(environment: Readonly<Record<string, string>>, config: Properties): Client;
}
