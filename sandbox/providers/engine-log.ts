import { engineGrpc, engineProto, grpc } from './grpc.ts';

/** Shows lines beside a resource in the CLI's progress. Does nothing while no engine is attached. */
export interface EngineLog {
  attach(address: string): void;
  detach(): void;
  status(urn: string, line: string): void;
}

export function createEngineLog(): EngineLog {
  let engine: InstanceType<typeof engineGrpc.EngineClient> | undefined;
  const detach = () => {
    engine?.close();
    engine = undefined;
  };
  return {
    attach(address) {
      detach();
      engine = new engineGrpc.EngineClient(address, grpc.credentials.createInsecure());
    },
    detach,
    status(urn, line) {
      const request = new engineProto.LogRequest();
      request.setSeverity(engineProto.LogSeverity.INFO);
      request.setMessage(line);
      request.setUrn(urn);
      request.setEphemeral(true);
      // A lost progress line must not fail the call.
      engine?.log(request, () => undefined);
    },
  };
}
