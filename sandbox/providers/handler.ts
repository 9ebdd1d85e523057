import type { ServerUnaryCall, ServiceError, sendUnaryData } from '@grpc/grpc-js';
import { InitializationFailed, toMessage } from './failures.ts';
import { grpc, initializationError } from './grpc.ts';

/** The context of one call of the engine. */
export interface Call {
  /** Aborts when the caller disconnects. */
  gone: AbortSignal;
  /** The connection, one for each provider instance of the program. */
  peer: string;
}

export type Handler<Request, Response> = (request: Request, call: Call) => Promise<Response>;

/** Longer messages do not fit into gRPC's frame. */
const LONGEST_MESSAGE = 12_000;

/** Wraps a function as a gRPC method; what it throws becomes an error in the engine's format. */
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
  const message = shorten(toMessage(error));
  if (error instanceof InitializationFailed) return initializationError(message, error.id, error.state);
  return { code: grpc.status.UNKNOWN, details: message };
}

function shorten(message: string): string {
  if (message.length <= LONGEST_MESSAGE) return message;
  const left = message.slice(0, LONGEST_MESSAGE / 4);
  const right = message.slice(-(LONGEST_MESSAGE / 4) * 3);
  return `${left}\n[… ${message.length - LONGEST_MESSAGE} characters left out …]\n${right}`;
}
