// What the kernel's connection takes from the root of @jupyterlab/services.
export { ServerConnection } from "@jupyterlab/services/lib/serverconnection.js";
export { CommsOverSubshells } from "@jupyterlab/services/lib/kernel/comm.js";
