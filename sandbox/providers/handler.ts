import type { ServerUnaryCall, ServiceError, sendUnaryData } from '@grpc/grpc-js';
import { InitializationFailed, messageOf } from './failures.ts';
import { grpc, initializationError } from './grpc.ts';

/** One call of the engine, apart from what it says. */
export interface Call {
  /** Aborted when the caller has gone. */
  gone: AbortSignal;
  /** The connection, one for each provider instance of the program. */
  peer: string;
}

export type Handler<Request, Response> = (request: Request, call: Call) => Promise<Response>;

/** Longer messages do not fit into the frame that carries them. */
const longestMessage = 12_000;

/** A gRPC method made of a function; what it throws becomes an error in the engine's form. */
export function handle<Request, Response>(work: Handler<Request, Response>) {
  return (call: ServerUnaryCall<Request, Response>, answer: sendUnaryData<Response>): void => {
    const gone = new AbortController();
    call.on('cancelled', () => gone.abort(new Error('context canceled')));
    work(call.request, { gone: gone.signal, peer: call.getPeer() }).then(
      (response) => answer(null, response),
      (error: unknown) => answer(errorStatus(error)),
    );
  };
}

function errorStatus(error: unknown): Partial<ServiceError> {
  const message = shorten(messageOf(error));
  if (error instanceof InitializationFailed) return initializationError(message, error.id, error.state);
  return { code: grpc.status.UNKNOWN, details: message };
}

function shorten(message: string): string {
  if (message.length <= longestMessage) return message;
  const left = message.slice(0, longestMessage / 4);
  const right = message.slice(-(longestMessage / 4) * 3);
  return `${left}\n[… ${message.length - longestMessage} characters left out …]\n${right}`;
}
