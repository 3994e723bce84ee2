// node:worker_threads for functions that name what they take from it: see node_fs.js.
import threads from "node:worker_threads";

export * from "node:worker_threads";
export default threads;
export const {
  BroadcastChannel, MessageChannel, MessagePort, Worker, markAsUntransferable, moveMessagePortToContext,
  receiveMessageOnPort,
} = threads;
