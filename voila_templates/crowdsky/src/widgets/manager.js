// The widget manager: models and views over one kernel's comms.

import { shims } from "@jupyter-widgets/base";
import { ManagerBase } from "@jupyter-widgets/base-manager";
import { MessageLoop } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";

export class Manager extends ManagerBase {
  constructor(kernel, load) {
    super();
    this.kernel = kernel;
    this.load = load;
    kernel.registerCommTarget(this.comm_target_name, (comm, message) =>
      this.handle_comm_open(new shims.services.Comm(comm), message),
    );
  }

  async loadClass(className, moduleName) {
    const module = await this.load(moduleName);
    if (!module[className]) throw new Error(`'${moduleName}' has no '${className}'`);
    return module[className];
  }

  async _create_comm(target, id, data, metadata, buffers) {
    const comm = this.kernel.createComm(target, id);
    if (data || metadata) comm.open(data, metadata, buffers);
    return new shims.services.Comm(comm);
  }

  async _get_comm_info() {
    const reply = await this.kernel.requestCommInfo({ target_name: this.comm_target_name });
    return reply.content.status === "ok" ? reply.content.comms : {};
  }

  // All models that the kernel has by now.
  restore() {
    return this._loadFromKernel();
  }

  async display(modelId, place) {
    const model = await this.get_model(modelId);
    const view = await this.create_view(model);
    Widget.attach(view.luminoWidget, place);
    addEventListener("resize", () => MessageLoop.postMessage(view.luminoWidget, Widget.ResizeMessage.UnknownSize));
    return view;
  }
}
