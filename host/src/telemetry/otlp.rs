//! OTLP: OpenTelemetry's own protocol, over HTTP and gRPC.
