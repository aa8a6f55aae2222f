// The entry `request-splitter/http-proxy`: a ready request and upgrade handler for a Node server that already exists.
// Only the public names are here; the handler itself is in embed/.

export {
  createHandler,
  type FaultCode,
  type Handler,
  type HandlerConfig,
  type HandlerGuardStop,
  type HandlerOptions,
} from './embed/handler.ts';
