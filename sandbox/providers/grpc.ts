// The CommonJS modules of Pulumi's gRPC classes: Node cannot detect their exports, so each is imported whole.
import grpc from '@grpc/grpc-js';
import engineGrpc from '@pulumi/pulumi/proto/engine_grpc_pb.js';
import engineProto from '@pulumi/pulumi/proto/engine_pb.js';
import pluginProto from '@pulumi/pulumi/proto/plugin_pb.js';
import providerGrpc from '@pulumi/pulumi/proto/provider_grpc_pb.js';
import providerProto from '@pulumi/pulumi/proto/provider_pb.js';
import statusProto from '@pulumi/pulumi/proto/status_pb.js';
import anyProto from 'google-protobuf/google/protobuf/any_pb.js';
import emptyProto from 'google-protobuf/google/protobuf/empty_pb.js';
import structProto from 'google-protobuf/google/protobuf/struct_pb.js';
import type { Properties } from './values.ts';

export { emptyProto, engineGrpc, engineProto, grpc, pluginProto, providerGrpc, providerProto };

type Struct = structProto.Struct;

export function fromStruct(struct: Struct | undefined): Properties {
  return (struct?.toJavaScript() ?? {}) as Properties;
}

export function toStruct(properties: Properties): Struct {
  return structProto.Struct.fromJavaScript(
    properties as Parameters<typeof structProto.Struct.fromJavaScript>[0],
  );
}

/** Returns the error that makes the engine record a resource that was created but did not become ready. */
export function initializationError(
  message: string,
  id: string,
  properties: Properties,
): Partial<grpc.StatusObject> {
  const detail = new providerProto.ErrorResourceInitFailed();
  detail.setId(id);
  detail.setProperties(toStruct(properties));
  detail.setReasonsList([message]);
  const any = new anyProto.Any();
  any.pack(detail.serializeBinary(), 'pulumirpc.ErrorResourceInitFailed');
  const status = new statusProto.Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(message);
  status.addDetails(any);
  const metadata = new grpc.Metadata();
  metadata.add('grpc-status-details-bin', Buffer.from(status.serializeBinary()));
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}
